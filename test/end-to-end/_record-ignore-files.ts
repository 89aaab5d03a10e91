/** Records what a real BuildKit takes of random contexts: `scripts/record-ignore-files.sh`. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import pLimit from 'p-limit';
import { rulesCase, wildcardsCase } from './_random-contexts.ts';
import { readTarEntries } from './_tar.ts';

const [DOCKER = 'docker', ...DOCKER_ARGS] = (process.env['TSBUILD_RECORD_DOCKER'] ?? 'docker').split(' ');
const RULES = 600;
const WILDCARDS = 90;
const limit = pLimit(availableParallelism());
const folder = path.resolve('fixtures/ignore-files');

const rules = Array.from({ length: RULES }, (_, seed) => {
  const { tree, ignore } = rulesCase(seed);
  return limit(async () => ({ tree, ignore, kept: await taken(tree, { ignore, dockerfile: 'FROM scratch\nCOPY . /\n' }) }));
});
const wildcards = Array.from({ length: WILDCARDS }, (_, seed) => {
  const { tree, sources } = wildcardsCase(seed);
  const lines = sources.map((source, index) => `COPY ${JSON.stringify([source, `/${index}/`])}`);
  return limit(async () => ({ tree, sources, landed: await taken(tree, { dockerfile: ['FROM scratch', ...lines, ''].join('\n') }) }));
});
write('rules', await Promise.all(rules));
write('wildcards', await Promise.all(wildcards));

/** Paths of the result, directories with a slash; undefined where BuildKit refuses. */
async function taken(
  tree: readonly string[],
  { dockerfile, ignore }: { dockerfile: string; ignore?: string },
): Promise<string[] | undefined> {
  const context = mkdtempSync(path.join(tmpdir(), 'tsbuild-ignore-'));
  try {
    for (const name of tree) {
      mkdirSync(path.join(context, name.endsWith('/') ? name : path.dirname(name)), { recursive: true });
      if (!name.endsWith('/')) writeFileSync(path.join(context, name), name);
    }
    if (ignore !== undefined) writeFileSync(path.join(context, '.dockerignore'), ignore);
    return await build(context, dockerfile);
  } finally {
    rmSync(context, { recursive: true });
  }
}

async function build(context: string, dockerfile: string): Promise<string[] | undefined> {
  return await new Promise((resolve, reject) => {
    const args = [...DOCKER_ARGS, 'buildx', 'build', '-q', '-f', '-', '-o', 'type=tar,dest=-', context];
    const child = execFile(DOCKER, args, { encoding: 'buffer', maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(listing(stdout));
      else if (/pattern|lstat |cannot (?:replace|copy) to/.test(stderr.toString())) resolve(undefined);
      else reject(new Error(`${dockerfile}\n${stderr}`));
    });
    child.stdin?.end(dockerfile);
  });
}

function listing(tar: Buffer): string[] {
  const names = readTarEntries(tar).map(({ name, type }) => name.replace(/\/$/, '') + (type === 'dir' ? '/' : ''));
  return names.filter((name) => name !== '' && name !== '/').sort();
}

function write(name: string, cases: readonly object[]): void {
  writeFileSync(path.join(folder, `${name}.json`), `[\n${cases.map((each) => JSON.stringify(each)).join(',\n')}\n]\n`);
}
