/** What every workload needs: a store with a base image, contexts, timed runs of the command line. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeBusyboxRootfs } from '../test/end-to-end/_world.ts';

export interface Bench extends Disposable {
  readonly directory: string;
  context(files: Readonly<Record<string, string>>): string;
  /** tsbuild with these arguments, for who starts it by himself, in this environment. */
  command(args: readonly string[]): readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Runs tsbuild to its end; throws with its messages where it fails. */
  tsbuild(args: readonly string[]): Timed;
}

export interface Timed {
  readonly wallMs: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the project promises, where it promises something. */
  readonly atMost?: number;
}

const BIN = path.resolve('bin/tsbuild');

export function openBench(): Bench {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-bench-'));
  // NODE_EXTRA_CA_CERTS costs Node 20 some 75 ms at every start.
  const env = { ...process.env, TSBUILD_ROOT: path.join(directory, 'state'), NODE_EXTRA_CA_CERTS: undefined };
  let contexts = 0;
  const tsbuild = (args: readonly string[]): Timed => {
    const startedAt = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { env, encoding: 'utf8', maxBuffer: 1 << 28 });
    const wallMs = performance.now() - startedAt;
    if (status !== 0) throw new Error(`tsbuild ${args.join(' ')} ended with ${status}\n${stderr}`);
    return { wallMs, stdout, stderr };
  };
  const rootfs = path.join(directory, 'busybox.tar');
  makeBusyboxRootfs(rootfs);
  tsbuild(['import', rootfs, 'busybox:latest']);
  return {
    directory,
    env,
    command: (args) => [process.execPath, BIN, ...args],
    tsbuild,
    context(files) {
      const context = path.join(directory, `context-${contexts++}`);
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(path.dirname(path.join(context, name)), { recursive: true });
        writeFileSync(path.join(context, name), content);
      }
      return context;
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Milliseconds of each RUN, out of what `--progress json` tells. */
export function runDurations(stderr: string): number[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { kind: string; durationMs?: number; step?: { text: string } })
    .filter(({ kind, step }) => kind === 'step-end' && step?.text.startsWith('RUN') === true)
    .map(({ durationMs }) => durationMs ?? Number.NaN);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** The words of a variable's command; says so where it is not set. */
export function commandFrom(variable: string, name: string): string[] | undefined {
  const command = words(process.env[variable]);
  if (command.length > 0) return command;
  console.log(`${name} is not compared: ${variable} names no command`);
  return undefined;
}

export function words(text = ''): string[] {
  return text.split(' ').filter((word) => word !== '');
}
