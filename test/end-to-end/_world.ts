/** A state directory, contexts and the command line for whole builds: everything real, everything in one temporary folder. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface World extends AsyncDisposable {
  /** Temporary folder that everything lies in. */
  readonly directory: string;
  /** The state directory. */
  readonly root: string;
  /** Makes a context of `files` (path → content; a trailing slash makes a directory) and returns its path. */
  context(files: Readonly<Record<string, string | Buffer>>): string;
  tsbuild(
    args: readonly string[],
    options?: { env?: NodeJS.ProcessEnv; cwd?: string; root?: string; input?: string | Buffer },
  ): Promise<CommandResult>;
  /** As `tsbuild`, but a failure throws with all output; returns stdout without its line break. */
  succeed(
    args: readonly string[],
    options?: { env?: NodeJS.ProcessEnv; cwd?: string; root?: string; input?: string | Buffer },
  ): Promise<string>;
}

export const BIN = path.resolve('bin/tsbuild');

/** A world whose store has `busybox:latest`, an image with a static shell and a few users. */
export async function makeWorld(): Promise<World> {
  const world = emptyWorld();
  const rootfs = path.join(world.directory, 'busybox.tar');
  makeBusyboxRootfs(rootfs);
  await world.succeed(['import', rootfs, 'busybox:latest']);
  return world;
}

export function emptyWorld(): World {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-e2e-'));
  const root = path.join(directory, 'state');
  let contexts = 0;
  const tsbuild: World['tsbuild'] = async (args, options = {}) =>
    await runCommand(process.execPath, [BIN, ...args], {
      ...options,
      env: { ...process.env, TSBUILD_ROOT: options.root ?? root, NODE_EXTRA_CA_CERTS: undefined, ...options.env },
    });
  return {
    directory,
    root,
    context(files) {
      const context = path.join(directory, `context-${contexts++}`);
      mkdirSync(context);
      for (const [name, content] of Object.entries(files)) writeContextFile(context, name, content);
      return context;
    },
    tsbuild,
    async succeed(args, options) {
      const result = await tsbuild(args, options);
      if (result.code !== 0)
        throw new Error(`tsbuild ${args.join(' ')} ended with ${result.code ?? result.signal}\n${result.stderr}\n${result.stdout}`);
      return result.stdout.trimEnd();
    },
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

export async function runCommand(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string | Buffer } = {},
): Promise<CommandResult> {
  const child = spawn(command, args, { env: options.env ?? process.env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on('data', (chunk: Buffer) => output.stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.stderr.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...end) => resolve(end));
  });
  return { code, signal, stdout: Buffer.concat(output.stdout).toString(), stderr: Buffer.concat(output.stderr).toString() };
}

/** A root file system of a static busybox with links for its programs, as a tar. */
export function makeBusyboxRootfs(tar: string): void {
  const rootfs = `${tar}.d`;
  for (const dir of ['bin', 'etc', 'root', 'home/app', 'usr/bin', 'var/lib']) mkdirSync(path.join(rootfs, dir), { recursive: true });
  mkdirSync(path.join(rootfs, 'tmp'));
  chmodSync(path.join(rootfs, 'tmp'), 0o1777);
  cpSync('/bin/busybox', path.join(rootfs, 'bin/busybox'));
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', path.join(rootfs, 'bin', applet));
  writeFileSync(path.join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n');
  writeFileSync(path.join(rootfs, 'etc/group'), 'root:x:0:\nwheel:x:10:root,app\napp:x:1000:\n');
  execFileSync('tar', ['--sort=name', '--numeric-owner', '--owner=0', '--group=0', '--mtime=@1700000000', '-cf', tar, '-C', rootfs, '.']);
  rmSync(rootfs, { recursive: true });
}

function writeContextFile(context: string, name: string, content: string | Buffer): void {
  const file = path.join(context, name);
  if (name.endsWith('/')) {
    mkdirSync(file, { recursive: true });
    return;
  }
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}
