/** What we build equals what BuildKit builds: every case of fixtures/dockerfiles against what `scripts/record-dockerfiles.sh` wrote. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { build, importImage, inspectImage, TsbuildError } from '../../src/index.ts';
import { BASE, CASES, type Case, makeContext, readCases, readJson } from './_cases.ts';
import { type FlatImage, flattenImage, type RawImage } from './_flatten.ts';
import { makeBusyboxRootfs } from './_world.ts';

type Failure = { readonly fails: true; readonly line?: number; readonly message: string; readonly says?: string };

const cases = readCases();
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-corpus-'));
const root = path.join(directory, 'state');
/** TSBUILD_TEST_NETWORK=none: for ordinary users, see rootless.test.ts. */
const network = process.env['TSBUILD_TEST_NETWORK'] === 'none' ? ({ network: 'none' } as const) : {};
/** What was rejected with UNSUPPORTED, as its case.json allows. */
const unsupported = new Set<string>();
let base: RawImage;

before(async () => {
  const rootfs = path.join(directory, 'rootfs.tar');
  makeBusyboxRootfs(rootfs);
  await importImage({ root, input: rootfs, name: BASE });
  base = await storedImage(BASE);
});
after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));

describe('build() makes what BuildKit makes of', { concurrency: 2, timeout: 10 * 60_000 }, () => {
  for (const each of cases) {
    test(`${each.name}${each.unsupported ? ' (unsupported)' : ''}`, async () => {
      const result = await buildCase(each);
      if (each.unsupported && 'message' in result && result.message.startsWith('ERR_TSBUILD_UNSUPPORTED ')) {
        unsupported.add(each.name);
        return;
      }
      assert.deepEqual(comparable(result), comparable(expectation(each, result)));
      if ('fails' in result) checkMessage(each, result);
    });
  }
});

test('the corpus says what is unsupported and where we differ on purpose', (t) => {
  const allowed = cases.filter((each) => each.unsupported).map(({ name }) => name);
  const differing = cases.filter(({ differs }) => differs !== undefined);
  t.diagnostic(`${cases.length} cases; ${unsupported.size} UNSUPPORTED: ${[...unsupported].join(' ')}`);
  const now = allowed.filter((name) => !unsupported.has(name));
  if (now.length > 0) t.diagnostic(`supported now, so take "unsupported" away from: ${now.join(' ')}`);
  for (const { name, differs } of differing) t.diagnostic(`differs: ${name}: ${differs}`);
  for (const { name } of differing) {
    const [recorded, own] = ['expected.json', 'ours.json'].map((file) => readJson(path.join(CASES, name, file)) as FlatImage | Failure);
    assert.notDeepEqual(comparable(own as FlatImage), comparable(recorded as FlatImage), `${name} does not differ`);
  }
});

/** TSBUILD_WRITE_OURS=1 writes ours.json anew, to be read before it is committed. */
function expectation({ name, differs }: Case, result: FlatImage | Failure): FlatImage | Failure {
  const file = path.join(CASES, name, differs === undefined ? 'expected.json' : 'ours.json');
  if (differs !== undefined && process.env['TSBUILD_WRITE_OURS'] === '1')
    writeFileSync(file, `${JSON.stringify({ ...result, says: undefined }, undefined, 2)}\n`);
  return readJson(file) as FlatImage | Failure;
}

/** What we say of a case that is rejected lies in message.txt. TSBUILD_WRITE_OURS=1 writes it anew. */
function checkMessage({ name }: Case, { says = '' }: Failure): void {
  const file = path.join(CASES, name, 'message.txt');
  if (!existsSync(file) && !name.startsWith('reject-')) return;
  if (process.env['TSBUILD_WRITE_OURS'] === '1') writeFileSync(file, says);
  assert.equal(says, readFileSync(file, 'utf8'));
}

/** Code, place, message and hint. */
function wholeMessage({ code, hint, location, message }: TsbuildError): string {
  const { startLine, startColumn, endLine, endColumn } = location?.range ?? {};
  const place = location === undefined ? 'nowhere' : `${startLine}:${startColumn}-${endLine}:${endColumn}`;
  return `${[`${code} ${place}`, message, ...(hint === undefined ? [] : [hint])].join('\n')}\n`;
}

/** As JSON has it; of failures only that they are some, and where, since messages are our own. */
function comparable(result: FlatImage | Failure): unknown {
  return JSON.parse(JSON.stringify('fails' in result ? { fails: true, line: result.line } : result));
}

async function buildCase(each: Case): Promise<FlatImage | Failure> {
  const context = makeContext(each);
  try {
    const { names } = await build({ root, context, tags: [`${each.name}:1`], buildArgs: each.buildArgs, target: each.target, ...network });
    return flattenImage(await storedImage(names[0] ?? ''), base);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    const line = error.location?.range.startLine;
    return {
      fails: true,
      says: withoutPath(wholeMessage(error), context),
      ...(line === undefined ? {} : { line }),
      message: withoutPath(`${error.code} ${error.message}`, context),
    };
  } finally {
    rmSync(context, { recursive: true });
  }
}

/** As the same on every machine. */
function withoutPath(text: string, context: string): string {
  return text.replaceAll(path.relative('', context), 'CONTEXT').replaceAll(context, 'CONTEXT');
}

async function storedImage(name: string): Promise<RawImage> {
  const { manifest, config } = await inspectImage({ root, name });
  const layers = manifest.layers.map(({ digest }) =>
    gunzipSync(readFileSync(path.join(root, 'blobs/sha256', digest.slice('sha256:'.length)))),
  );
  return { config: { ...config, config: { ...config.config } } as RawImage['config'], layers };
}
