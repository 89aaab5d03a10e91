/** One small build that does a bit of everything, and the state directory that it starts from: for faults at each of its system calls. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { diskUsage, entryCounts, referenced } from '../store/_check-state.ts';
import { BIN, type CommandResult, runCommand, type World } from './_world.ts';

export interface ReferenceBuild {
  readonly world: string;
  /** The state directory to copy: an older image and the base, which nothing has unpacked. */
  readonly prepared: string;
  /** Of the image that the prepared state has by the name of `KEPT`. */
  readonly kept: string;
  /** What the build makes where nothing fails. */
  readonly clean: BuildOutcome;
}

export interface BuildOutcome {
  readonly digest: string;
  /** sha256 of the OCI archive. */
  readonly archive: string;
  readonly entries: Readonly<Record<string, number>>;
  readonly usage: { readonly bytes: number; readonly files: number };
}

export const KEPT = 'docker.io/library/keep:1';
export const TAGGED = 'docker.io/library/doomed:1';

/** Nobody listens where its registry would be: what the store has lost stays lost, and at once. */
const DOCKERFILE = `FROM 127.0.0.1:1/base AS build
COPY a /src/a
RUN --mount=type=cache,target=/c --mount=type=secret,id=s cat /run/secrets/s | wc -c > /n; echo 1 > /c/x
COPY d /src/d
RUN --network=none mkdir /out && cp -r /src /out/ && rm /src/a
FROM 127.0.0.1:1/base AS final
COPY --from=build /out /out
RUN --network=none echo done > /done && rm /etc/passwd
COPY b /b
RUN --network=none chmod 600 /b && ln /b /b2
`;

/** By their names. */
export const STAGES = ['build', 'final'];

/** Names and contents in an archive. */
export function filesIn(archive: string): string {
  const tar = (how: string) => execFileSync('tar', [how, archive], { maxBuffer: 1 << 28 });
  return createHash('sha256').update(tar('-tf')).update(tar('-xOf')).digest('hex');
}

export async function prepareReferenceBuild(world: World): Promise<ReferenceBuild> {
  const prepared = path.join(world.directory, 'prepared');
  const context = path.join(world.directory, 'context');
  mkdirSync(path.join(context, 'd'), { recursive: true });
  for (const name of ['a', 'b', 'd/x', 'd/y']) writeFileSync(path.join(context, name), `${name}\n`);
  writeFileSync(path.join(context, 'Dockerfile'), DOCKERFILE);
  writeFileSync(path.join(world.directory, 'secret'), 'hush');
  makeBase(path.join(world.directory, 'base.tar'));
  await world.succeed(['import', path.join(world.directory, 'base.tar'), '127.0.0.1:1/base'], { root: prepared });
  const kept = await world.succeed(['-t', KEPT, world.context({ Dockerfile: 'FROM scratch\nCOPY kept /\n', kept: 'kept' })], {
    root: prepared,
  });
  const state = path.join(world.directory, 'clean');
  copyState(prepared, state);
  const reference = { world: world.directory, prepared, kept };
  const result = await runReference(reference, state);
  if (result.code !== 0) throw new Error(`The reference build ended with ${result.code}\n${result.stderr}`);
  return { ...reference, clean: outcomeOf(state, result) };
}

/** Hard links would share what a fault breaks. */
export function copyState(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  execFileSync('cp', ['-a', from, to]);
}

export function archiveOf(state: string): string {
  return path.join(`${state}-out`, 'image.tar');
}

/** Arguments of tsbuild; the archive goes beside `state`, into a directory of its own. */
export function referenceArguments({ world }: { readonly world: string }, state: string): string[] {
  return [
    ...['--root', state, '-t', TAGGED, '--memory', '256m', '--secret', `id=s,src=${path.join(world, 'secret')}`],
    ...['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', 'type=image,rewrite-timestamp=true'],
    ...['-o', `type=oci,rewrite-timestamp=true,dest=${archiveOf(state)}`, path.join(world, 'context')],
  ];
}

/** One thread in libuv's pool: then what happens has nearly one order. */
export const REFERENCE_ENVIRONMENT = { ...process.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0', NODE_EXTRA_CA_CERTS: undefined };

/** `before`: a program and its arguments that runs it. */
export async function runReference(
  reference: { readonly world: string },
  state: string,
  before: readonly string[] = [],
): Promise<CommandResult> {
  mkdirSync(`${state}-out`, { recursive: true });
  const [program = process.execPath, ...args] = [...before, process.execPath, BIN, ...referenceArguments(reference, state)];
  return await runCommand(program, args, { env: REFERENCE_ENVIRONMENT });
}

export function outcomeOf(state: string, { stdout }: CommandResult): BuildOutcome {
  const digest = stdout.trim();
  if (referenced(state, TAGGED) !== digest) throw new Error(`${TAGGED} is ${referenced(state, TAGGED)}, said was ${digest}`);
  return {
    digest,
    archive: createHash('sha256')
      .update(readFileSync(archiveOf(state)))
      .digest('hex'),
    entries: entryCounts(state),
    usage: diskUsage(state),
  };
}

/** As little as a shell needs. */
function makeBase(tar: string): void {
  const rootfs = `${tar}.d`;
  for (const directory of ['bin', 'etc', 'tmp']) mkdirSync(path.join(rootfs, directory), { recursive: true });
  cpSync('/bin/busybox', path.join(rootfs, 'bin/busybox'));
  for (const applet of ['sh', 'cp', 'rm', 'mkdir', 'cat', 'wc', 'chmod', 'ln']) symlinkSync('busybox', path.join(rootfs, 'bin', applet));
  writeFileSync(path.join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  execFileSync('tar', ['--sort=name', '--numeric-owner', '--owner=0', '--group=0', '--mtime=@1700000000', '-cf', tar, '-C', rootfs, '.']);
  rmSync(rootfs, { recursive: true });
}
