/** A container from busybox on an overlay of directories made on the spot. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DEFAULT_CAPABILITIES, DEFAULT_READONLY_PATHS, defaultMaskedPaths, defaultMounts } from '../../src/sandbox/container-defaults.ts';
import type { ContainerSpec, ProcessSpec } from '../../src/sandbox/container-spec.ts';
import { hostFacts } from '../../src/sandbox/host-facts.ts';
import type { ContainerExit, ContainerIo } from '../../src/sandbox/run-container.ts';
import { runContainer } from '../../src/sandbox/run-container.ts';

const APPLETS =
  'sh ls cat true false sleep env id pwd readlink grep yes head mount mknod dd echo setsid kill stat touch hostname wc tr mkdir ln dirname test seq ps chmod sort nproc ip ping umount cut find stty';

export interface Box {
  readonly directory: string;
  readonly upper: string;
  readonly spec: ContainerSpec;
  close(): void;
}

/** `lower` can be changed before the first run; every box has its own upper directory. */
export function makeBox(prepare: (lower: string) => void = () => undefined): Box {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-box-'));
  const lower = join(directory, 'l');
  for (const name of ['l', 'u', 'w', 'm', 'l/bin', 'l/proc', 'l/sys', 'l/dev', 'l/etc', 'l/tmp', 'l/root'])
    mkdirSync(join(directory, name));
  copyFileSync('/bin/busybox', join(lower, 'bin/busybox'));
  for (const applet of APPLETS.split(' ')) symlinkSync('busybox', join(lower, 'bin', applet));
  writeFileSync(join(lower, 'etc/hosts'), '');
  writeFileSync(join(lower, 'etc/resolv.conf'), '');
  prepare(lower);
  const spec: ContainerSpec = {
    rootfs: { cwd: directory, lower: ['l'], upper: 'u', work: 'w', merged: 'm' },
    mounts: [
      ...defaultMounts(hostFacts()),
      { kind: 'text', target: '/etc/hosts', text: '127.0.0.1 localhost\n' },
      { kind: 'resolver', target: '/etc/resolv.conf' },
    ],
    process: { argv: ['true'], env: ['PATH=/bin'], cwd: '/', uid: 0, gid: 0, groups: [0], umask: 0o022 },
    hostname: 'box',
    capabilities: DEFAULT_CAPABILITIES,
    seccomp: 'default',
    devices: 'standard',
    maskedPaths: defaultMaskedPaths(hostFacts()),
    readonlyPaths: DEFAULT_READONLY_PATHS,
    network: 'none',
  };
  return { directory, upper: join(directory, 'u'), spec, close: () => rmSync(directory, { recursive: true, force: true }) };
}

export interface Outcome extends ContainerExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `argv` (a string is for `sh -c`) in the box. */
export async function run(
  box: Box,
  command: string | readonly string[],
  options: { process?: Partial<ProcessSpec>; spec?: Partial<ContainerSpec>; io?: Partial<ContainerIo> } = {},
): Promise<Outcome> {
  const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
  const { rootfs, ...asked } = { ...box.spec, ...options.spec };
  const spec = { ...asked, rootfs: withWorkOfItsOwn(rootfs), process: { ...box.spec.process, argv, ...options.process } };
  const output = { stdout: '', stderr: '' };
  const exit = await runContainer(spec, {
    stdin: 'empty',
    onOutput: (stream, data) => {
      output[stream] += Buffer.from(data).toString('latin1');
    },
    signal: new AbortController().signal,
    networks: { take: () => Promise.reject(new Error('This test has no network')) },
    ...options.io,
  });
  return { ...exit, ...output };
}

/** What an overlay without syncs worked in, the kernel takes for no other one. */
function withWorkOfItsOwn(rootfs: ContainerSpec['rootfs']): ContainerSpec['rootfs'] {
  return 'work' in rootfs ? { ...rootfs, work: basename(mkdtempSync(join(rootfs.cwd, 'w'))) } : rootfs;
}
