/**
 * Records what a real BuildKit makes of the cases of fixtures/dockerfiles: `scripts/record-dockerfiles.sh [--missing | CASE...]`.
 * TSBUILD_RECORD_DOCKER is the command line of docker, by default `docker`; its daemon must see this machine's temporary files.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import pLimit from 'p-limit';
import { BASE, CASES, type Case, makeContext, readCases, readJson } from './_cases.ts';
import { flattenImage, type RawConfig, type RawImage } from './_flatten.ts';
import { makeBusyboxRootfs } from './_world.ts';

/** What lies in expected.json of a case that BuildKit rejects. */
export interface RecordedFailure {
  readonly fails: true;
  /** First line of the Dockerfile that the message marks. */
  readonly line?: number;
  /** In BuildKit's words, to be read and not compared. */
  readonly message: string;
}

const [DOCKER = 'docker', ...DOCKER_ARGS] = (process.env['TSBUILD_RECORD_DOCKER'] ?? 'docker').split(' ');
const REPOSITORY = 'tsbuild-corpus';
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-record-'));

try {
  await record(chosenCases(process.argv.slice(2)));
} finally {
  rmSync(directory, { recursive: true });
}

function chosenCases(args: readonly string[]): Case[] {
  const cases = readCases();
  if (args[0] === '--missing') return cases.filter(({ name }) => !existsSync(path.join(CASES, name, 'expected.json')));
  return args.length === 0 ? cases : cases.filter(({ name }) => args.includes(name));
}

async function record(cases: readonly Case[]): Promise<void> {
  const rootfs = path.join(directory, 'rootfs.tar');
  makeBusyboxRootfs(rootfs);
  docker(['import', rootfs, BASE]);
  const limit = pLimit(availableParallelism());
  const failures = await Promise.all(cases.map((each) => limit(() => buildCase(each))));
  const built = cases.filter((_, index) => failures[index] === undefined);
  const images = saveImages([BASE, ...built.map(tagOf)]);
  const base = required(images, BASE);
  for (const [index, each] of cases.entries()) writeExpected(each, failures[index] ?? flattenImage(required(images, tagOf(each)), base));
  if (built.length > 0) docker(['rmi', ...built.map(tagOf)]);
  process.stdout.write(`${built.length} cases built, ${cases.length - built.length} rejected\n`);
}

/** Resolves to undefined when the case builds. */
async function buildCase(each: Case): Promise<RecordedFailure | undefined> {
  const context = makeContext(each);
  const args = Object.entries(each.buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
  if (each.target !== undefined) args.push('--target', each.target);
  try {
    return await new Promise((resolve) => {
      const command = ['buildx', 'build', '--progress=plain', '--provenance=false', '-t', tagOf(each), ...args, context];
      execFile(DOCKER, [...DOCKER_ARGS, ...command], { maxBuffer: 1 << 26 }, (error, _, stderr) =>
        resolve(error === null ? undefined : toFailure(stderr)),
      );
    });
  } finally {
    rmSync(context, { recursive: true });
  }
}

function toFailure(stderr: string): RecordedFailure {
  const line = /^ *(\d+) \| >>>/m.exec(stderr)?.[1] ?? /parse error on line (\d+)/.exec(stderr)?.[1];
  const message = stderr
    .trimEnd()
    .split('\n')
    .findLast((each) => each.startsWith('ERROR: '))
    ?.slice('ERROR: '.length);
  if (message === undefined) throw new Error(`No reason in:\n${stderr}`);
  return {
    fails: true,
    ...(line === undefined ? {} : { line: Number(line) }),
    message: message.replace(/\S*tsbuild-case-\w+/g, 'CONTEXT'),
  };
}

/** Images of the daemon by name, by one `docker save`. */
function saveImages(names: readonly string[]): Map<string, RawImage> {
  const archive = path.join(directory, 'images.tar');
  docker(['save', '-o', archive, ...names]);
  execFileSync('tar', ['-xf', archive, '-C', directory]);
  const manifest = readJson(path.join(directory, 'manifest.json')) as { Config: string; RepoTags: string[] | null; Layers: string[] }[];
  const blob = (file: string) => readFileSync(path.join(directory, file));
  return new Map(
    manifest.flatMap(({ Config, RepoTags, Layers }) => {
      const image = { config: JSON.parse(blob(Config).toString()) as RawConfig, layers: Layers.map(blob) };
      return (RepoTags ?? []).map((tag) => [tag, image] as const);
    }),
  );
}

function writeExpected({ name }: Case, expected: unknown): void {
  writeFileSync(path.join(CASES, name, 'expected.json'), `${JSON.stringify(expected, undefined, 2)}\n`);
}

function docker(args: readonly string[]): void {
  execFileSync(DOCKER, [...DOCKER_ARGS, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function tagOf({ name }: Case): string {
  return `${REPOSITORY}:${name}`;
}

function required(images: ReadonlyMap<string, RawImage>, name: string): RawImage {
  const image = images.get(name);
  if (image === undefined) throw new Error(`docker save left out ${name}`);
  return image;
}
