/** `--sign-by`, `sign` and `verify`, with a real registry, and openssl as the judge of signatures. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let registry: TestRegistry;
let context = '';
const at = (...names: string[]): string => path.join(world.directory, ...names);
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });

before(async () => {
  world = await makeWorld();
  registry = await startRegistry();
  context = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\n', x: '1' });
  for (const name of ['mine', 'other']) {
    run('openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at(`${name}.key`));
    run('openssl', 'pkey', '-in', at(`${name}.key`), '-pubout', '-out', at(`${name}.pub`));
  }
  run('openssl', 'pkcs8', '-topk8', '-in', at('mine.key'), '-out', at('locked.key'), '-passout', 'pass:s3cret');
});
after(async () => {
  await registry.stop();
  await world[Symbol.asyncDispose]();
});

interface SignatureManifest {
  readonly config: { readonly digest: string; readonly mediaType: string };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

const sig = (digest: string): string => `${digest.replace(':', '-')}.sig`;

async function manifestOf(repository: string, tag: string): Promise<SignatureManifest> {
  const response = await fetch(`http://${registry.host}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  assert.equal(response.status, 200);
  return (await response.json()) as SignatureManifest;
}

async function blobOf(repository: string, digest: string): Promise<Buffer> {
  return Buffer.from(await (await fetch(`http://${registry.host}/v2/${repository}/blobs/${digest}`)).arrayBuffer());
}

async function putManifest(repository: string, tag: string, manifest: object): Promise<void> {
  const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  const response = await fetch(`http://${registry.host}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers,
    body: JSON.stringify(manifest),
  });
  assert.equal(response.status, 201);
}

/** As `openssl dgst -verify` sees it. */
function isVerified(payload: Buffer, signature: string, publicKey: string): boolean {
  writeFileSync(at('payload'), payload);
  writeFileSync(at('signature'), Buffer.from(signature, 'base64'));
  try {
    return run('openssl', 'dgst', '-sha256', '-verify', publicKey, '-signature', at('signature'), at('payload')).includes('Verified OK');
  } catch {
    return false;
  }
}

describe('build --sign-by', () => {
  test('puts a signature where cosign looks for it, which openssl verifies', async () => {
    const name = `${registry.host}/app:1`;
    const digest = await world.succeed([
      'build',
      '--provenance',
      '--push',
      '-t',
      name,
      '-t',
      `${registry.host}/app:2`,
      '--sign-by',
      at('mine.key'),
      context,
    ]);
    const manifest = await manifestOf('app', sig(digest));
    assert.equal(manifest.layers.length, 1, 'one for both tags');
    const [layer] = manifest.layers;
    assert.equal(layer?.mediaType, 'application/vnd.dev.cosign.simplesigning.v1+json');
    const payload = await blobOf('app', layer?.digest ?? '');
    assert.deepEqual(JSON.parse(payload.toString()), {
      critical: {
        identity: { 'docker-reference': `${registry.host}/app` },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    });
    const signature = layer?.annotations['dev.cosignproject.cosign/signature'] ?? '';
    assert.equal(isVerified(payload, signature, at('mine.pub')), true);
    assert.equal(isVerified(payload, signature, at('other.pub')), false);
    assert.equal(manifest.config.mediaType, 'application/vnd.oci.image.config.v1+json');
    assert.equal(await world.succeed(['verify', name, '--key', at('mine.pub')]), digest);
    const { signatures } = JSON.parse(await world.succeed(['verify', name, '--key', at('mine.pub'), '--format', 'json']));
    assert.deepEqual(signatures, [{ reference: `${registry.host}/app`, digest, optional: null }]);
    const index = JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${name}`));
    const [image, attestation] = index.manifests;
    const listed = `${registry.host}/app@${image.digest}`;
    assert.equal(
      await world.succeed(['verify', listed, '--key', at('mine.pub')]),
      image.digest,
      'runtimes look at the image that they chose',
    );
    const none = await world.tsbuild(['verify', `${registry.host}/app@${attestation.digest}`, '--key', at('mine.pub')]);
    assert.match(none.stderr, /ERR_TSBUILD_SIGNATURE_NOT_FOUND/, 'an attestation is a part of what the index says');
    run('skopeo', 'copy', '--src-tls-verify=false', `docker://${registry.host}/app:${sig(digest)}`, `dir:${at('signatures')}`);
  });

  test('is refused before anything runs where nothing is pushed or the key cannot be used', async () => {
    const slow = world.context({ Dockerfile: 'FROM busybox\nRUN exit 1\n' });
    const nothing = await world.tsbuild(['build', '--sign-by', at('mine.key'), '-t', 'x', slow]);
    assert.equal(nothing.code, 2);
    assert.match(nothing.stderr, /nothing is pushed/);
    const push = ['build', '--push', '-t', `${registry.host}/never:1`, slow];
    assert.match((await world.tsbuild([...push, '--sign-by', at('missing')])).stderr, /ERR_TSBUILD_SECRET_INVALID.*ENOENT/);
    assert.match(
      (await world.tsbuild([...push, '--sign-by', at('locked.key')])).stderr,
      /ERR_TSBUILD_KEY_INVALID.*passphrase[\s\S]*COSIGN_PASSWORD/,
    );
    assert.match((await world.tsbuild([...push, '--sign-by', 'awskms://x'])).stderr, /ERR_TSBUILD_USAGE.*awskms/);
  });
});

describe('sign and verify', () => {
  test('keep the signatures that are there, and add none twice', async () => {
    const name = `${registry.host}/several:1`;
    const digest = await world.succeed(['build', '-t', name, context]);
    assert.equal(await world.succeed(['push', '--sign-by', at('mine.key'), name]), digest);
    const sign = ['sign', name, '--key', at('other.key')];
    assert.equal(await world.succeed(sign), digest);
    assert.equal(await world.succeed(sign), digest, 'again');
    assert.equal(await world.succeed(sign, { root: at('no-store') }), digest, 'and as the registry has it');
    const { layers } = await manifestOf('several', sig(digest));
    assert.equal(layers.length, 2);
    const payload = await blobOf('several', layers[0]?.digest ?? '');
    for (const [i, key] of ['mine.pub', 'other.pub'].entries())
      assert.equal(isVerified(payload, layers[i]?.annotations['dev.cosignproject.cosign/signature'] ?? '', at(key)), true, key);
    for (const key of ['mine.pub', 'other.pub']) assert.equal(await world.succeed(['verify', name, '--key', at(key)]), digest);
  });

  test('of what was not pushed is an error that says so', async () => {
    const name = `${registry.host}/unpushed:1`;
    await world.succeed(['build', '-t', name, context]);
    const { code, stderr } = await world.tsbuild(['sign', name, '--key', at('mine.key')]);
    assert.equal(code, 1);
    assert.match(stderr, /ERR_TSBUILD_REGISTRY_NOT_FOUND[\s\S]*Push it first/);
  });

  test('take a key from the environment, and one with a passphrase', async () => {
    const name = `${registry.host}/env:1`;
    const digest = await world.succeed(['build', '--push', '-t', name, context]);
    const env = { KEY: readFileSync(at('locked.key'), 'utf8'), COSIGN_PASSWORD: 's3cret' };
    const { code, stderr, stdout } = await world.tsbuild(['sign', '--progress=plain', name, '--key', 'env://KEY'], { env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^signed sha256:/m);
    assert.equal(stdout.trim(), digest);
    const PUB = readFileSync(at('mine.pub'), 'utf8');
    assert.equal(await world.succeed(['verify', `${registry.host}/env@${digest}`, '--key', 'env://PUB'], { env: { PUB } }), digest);
    const wrong = await world.tsbuild(['sign', name, '--key', at('locked.key')], { env: { COSIGN_PASSWORD: 'not-s3cret' } });
    assert.match(wrong.stderr, /ERR_TSBUILD_KEY_INVALID/);
    assert.doesNotMatch(wrong.stderr, /not-s3cret/);
  });

  test('do not believe a tag that moved, a signature of another image, or one that was changed', async () => {
    const name = `${registry.host}/changed:1`;
    const verify = async (key = 'mine.pub') => await world.tsbuild(['verify', name, '--key', at(key)]);
    const digest = await world.succeed(['build', '--push', '-t', name, '--sign-by', at('mine.key'), context]);
    assert.equal((await verify()).code, 0);
    assert.match((await verify('other.pub')).stderr, /ERR_TSBUILD_SIGNATURE_INVALID/);
    const manifest = await manifestOf('changed', sig(digest));
    // The image changes: its tag leads to one that nobody signed.
    const evil = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\n', x: 'evil' });
    const other = await world.succeed(['build', '--push', '-t', name, evil]);
    assert.match((await verify()).stderr, /ERR_TSBUILD_SIGNATURE_NOT_FOUND/);
    // Its signatures are put beside the other image.
    await putManifest('changed', sig(other), manifest);
    assert.match((await verify()).stderr, /ERR_TSBUILD_SIGNATURE_INVALID.*not of this key and for this image/);
    // The payload is made to fit, and the signature stays.
    const payload = Buffer.from((await blobOf('changed', manifest.layers[0]?.digest ?? '')).toString().replace(digest, other));
    const forged = await pushBlob('changed', payload);
    const annotations = manifest.layers[0]?.annotations ?? {};
    await putManifest('changed', sig(other), { ...manifest, layers: [{ ...manifest.layers[0], ...forged, annotations }] });
    assert.match((await verify()).stderr, /ERR_TSBUILD_SIGNATURE_INVALID/);
    // The signature is changed.
    await world.succeed(['push', '--sign-by', at('mine.key'), name]);
    assert.equal((await verify()).code, 0);
    const good = await manifestOf('changed', sig(other));
    const flip = (text: string): string => `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}`;
    const layers = good.layers.map((layer) => ({
      ...layer,
      annotations: { 'dev.cosignproject.cosign/signature': flip(layer.annotations['dev.cosignproject.cosign/signature'] ?? '') },
    }));
    await putManifest('changed', sig(other), { ...good, layers });
    assert.match((await verify()).stderr, /ERR_TSBUILD_SIGNATURE_INVALID/);
    const junk = [
      { ...good.layers[0], annotations: { 'dev.cosignproject.cosign/signature': '*not base64*' } },
      ...good.layers.map(({ annotations: _, ...rest }) => rest),
    ];
    await putManifest('changed', sig(other), { ...good, layers: junk });
    assert.match((await verify()).stderr, /ERR_TSBUILD_SIGNATURE_INVALID/);
  });

  test('sign what was built here, even if the registry has something else by now', async () => {
    const name = `${registry.host}/race:1`;
    const digest = await world.succeed(['build', '--push', '-t', name, context]);
    const elsewhere = path.join(world.directory, 'elsewhere');
    await world.succeed(['import', at('busybox.tar'), 'busybox:latest'], { root: elsewhere });
    const evil = world.context({ Dockerfile: 'FROM busybox\nCOPY x /x\n', x: 'race' });
    await world.succeed(['build', '--push', '-t', name, evil], { root: elsewhere });
    assert.equal(await world.succeed(['sign', name, '--key', at('mine.key')]), digest);
    assert.match((await world.tsbuild(['verify', name, '--key', at('mine.pub')])).stderr, /ERR_TSBUILD_SIGNATURE_NOT_FOUND/);
    assert.equal(await world.succeed(['verify', `${registry.host}/race@${digest}`, '--key', at('mine.pub')]), digest);
  });
});

async function pushBlob(repository: string, bytes: Buffer): Promise<{ digest: string; size: number }> {
  const { createHash } = await import('node:crypto');
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const start = await fetch(`http://${registry.host}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(start.headers.get('location') ?? '', `http://${registry.host}`);
  location.searchParams.set('digest', digest);
  const done = await fetch(location, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: bytes });
  assert.equal(done.status, 201);
  return { digest, size: bytes.length };
}
