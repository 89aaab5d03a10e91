import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BuildFacts } from '../../src/attestations/build-facts.ts';
import { hideCredentials } from '../../src/attestations/hide-credentials.ts';
import { gitMaterial, httpMaterial, imageMaterial, openMaterialLog } from '../../src/attestations/materials.ts';
import { provenance } from '../../src/attestations/provenance.ts';

const FACTS: BuildFacts = {
  ...{ source: undefined, entryPoint: 'Dockerfile', target: 'out', builderPlatform: 'linux/amd64' },
  ...{ args: { 'build-arg:A': 'https://u:hush@h/?sig=hush&x=1' }, isEveryArgTold: true, isOffline: true },
  ...{ secrets: [{ id: 's', isOptional: true }], ssh: [], locals: ['context'] },
  materials: [httpMaterial(new URL('https://u:hush@host/a?X-Amz-Signature=hush#f'), 'a'.repeat(64))],
  invocation: { id: 'i', startedAt: '2001-01-01T00:00:00Z', finishedAt: '2001-01-01T00:00:01Z' },
  steps: [
    {
      ...{ id: 'step0', stage: 'out', platform: 'linux/amd64', inputs: [], lines: { start: 1, end: 1 } },
      instruction: { kind: 'add', text: 'ADD https://u:hush@host/a /' },
    },
  ],
  dockerfile: { name: 'Dockerfile', text: 'ADD https://u:hush@host/a?token=hush /\n' },
  layers: new Map([['step0', [{ mediaType: 'm/m', digest: `sha256:${'b'.repeat(64)}`, size: 1 }]]]),
};

/** All that is told, base64 read. */
function told(value: object): string {
  const text = JSON.stringify(value);
  return text.replace(/"data":"([^"]*)"/g, (_, data: string) => `"data":${JSON.stringify(Buffer.from(data, 'base64').toString())}`);
}

describe('provenance()', () => {
  test('tells in both versions no credential that stands in an address', () => {
    for (const version of ['v0.2', 'v1'] as const) {
      const { body, type } = provenance(FACTS, { mode: 'max', version });
      assert.equal(type, `https://slsa.dev/provenance/${version}`);
      assert.doesNotMatch(told(body), /hush/);
      assert.match(told(body), /https:\/\/REDACTED@host\/a/);
      assert.match(told(body), /"uri":"https:\/\/host\/a"/);
    }
  });

  test('of mode=min tells neither arguments nor ids nor the Dockerfile', () => {
    for (const version of ['v0.2', 'v1'] as const) {
      const text = told(provenance(FACTS, { mode: 'min', version }).body);
      assert.doesNotMatch(text, /build-arg|"s"|ADD|step0|buildConfig/);
      assert.match(text, /"target":"out"/);
    }
  });

  test('without an invocation has neither time nor number', () => {
    const { body } = provenance({ ...FACTS, invocation: undefined }, { mode: 'max' });
    assert.doesNotMatch(JSON.stringify(body), /buildInvocationID|buildStartedOn|2001/);
  });

  test('is complete and hermetic only where everything is known', () => {
    const metadata = (facts: BuildFacts) =>
      (provenance(facts, { mode: 'max' }).body as { metadata: { completeness: object; [name: string]: unknown } }).metadata;
    assert.deepEqual(metadata(FACTS).completeness, { parameters: true, environment: true, materials: false });
    const known = metadata({ ...FACTS, locals: [] });
    assert.deepEqual(known.completeness, { parameters: true, environment: true, materials: true });
    assert.equal(known['https://mobyproject.org/buildkit@v1#hermetic'], true);
    const open = metadata({ ...FACTS, locals: [], isOffline: false, isEveryArgTold: false });
    assert.equal(open['https://mobyproject.org/buildkit@v1#hermetic'], undefined);
    assert.deepEqual(open.completeness, { parameters: false, environment: true, materials: true });
  });
});

test('openMaterialLog() gives each plan its own materials and the common ones, once and in one order', () => {
  const log = openMaterialLog();
  const [one, two] = [{}, {}];
  const a = gitMaterial('https://h/a.git', 'refs/heads/main', 'c'.repeat(40));
  const b = httpMaterial(new URL('https://h/b'), 'd'.repeat(64));
  log.add(b, one);
  log.add(b, one);
  log.add(a);
  assert.deepEqual(log.of(one), [a, b]);
  assert.deepEqual(log.of(two), [a]);
  assert.deepEqual(a, { uri: 'https://h/a.git#refs/heads/main', digest: { sha1: 'c'.repeat(40) } });
});

test('imageMaterial() keeps paths of this machine to itself', () => {
  const digest = `sha256:${'e'.repeat(64)}` as const;
  const { uri } = imageMaterial('oci-layout:///home/me/secret/layout:1', { os: 'linux', architecture: 'amd64' }, digest);
  assert.equal(uri, `pkg:oci/oci-layout@${digest}`);
});

test('hideCredentials() takes credentials out of addresses and leaves the rest', () => {
  assert.equal(
    hideCredentials('see http://a:b@c/d?x=1&api_key=2;z and me@example.com'),
    'see http://REDACTED@c/d?x=1&api_key=REDACTED;z and me@example.com',
  );
  assert.equal(hideCredentials('git+ssh://git:pw@h/x.git#main'), 'git+ssh://REDACTED@h/x.git#main');
  assert.equal(
    hideCredentials('RUN echo "https://h/?X-Goog-Credential=a%2Fb&q=y"'),
    'RUN echo "https://h/?X-Goog-Credential=REDACTED&q=y"',
  );
});
