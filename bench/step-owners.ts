/**
 * What it costs who the root of a step is: the machine's, nobody (--userns=auto), or an ordinary user's. Trivial steps, and one that makes, reads
 * and removes many files, in turns.
 */
import { statSync } from 'node:fs';
import { makeUserWorld } from '../test/end-to-end/_rootless.ts';
import { type Bench, type Figure, median, runDurations } from './_workload.ts';

const ROUNDS = 5;
const STEPS = 20;
const FILES = 20_000;
const DOCKERFILE = [
  'FROM busybox',
  ...Array.from({ length: STEPS }, (_, i) => `RUN echo ${i} > /f${i}`),
  `RUN mkdir /d; i=0; while [ $i -lt ${FILES} ]; do echo $i > /d/$i; i=$((i+1)); done; cat /d/* | wc -c; chown -R 5:5 /d; rm -r /d`,
].join('\n');
const FLAGS = ['--no-cache', '--progress', 'json', '-t', 'owners:1'];

type Durations = { readonly trivial: number[]; readonly files: number[] };

export async function stepOwners(bench: Bench): Promise<Figure[]> {
  await using user = await makeUserWorld();
  const context = bench.context({ Dockerfile: DOCKERFILE });
  const theirs = user.context({ Dockerfile: DOCKERFILE });
  // Their network takes a device that not every machine opens to its users.
  const theirFlags = isOpenToAll('/dev/net/tun') ? FLAGS : [...FLAGS, '--network=none'];
  const [host, auto, rootless]: Durations[] = Array.from({ length: 3 }, () => ({ trivial: [], files: [] }));
  for (let round = 0; round < ROUNDS; round++) {
    note(host, bench.tsbuild([...FLAGS, context]).stderr);
    note(auto, bench.tsbuild([...FLAGS, '--userns=auto', context]).stderr);
    const { code, stderr } = await user.tsbuild([...theirFlags, theirs]);
    if (code !== 0) throw new Error(stderr);
    note(rootless, stderr);
  }
  return [
    { name: 'trivial RUN as root, median', value: trivial(host), unit: 'ms', atMost: 15 },
    { name: 'trivial RUN with --userns=auto, median', value: trivial(auto), unit: 'ms' },
    {
      name: `trivial RUN of an ordinary user${theirFlags === FLAGS ? '' : ', no network'}, median`,
      value: trivial(rootless),
      unit: 'ms',
      atMost: 25,
    },
    { name: `${FILES} files as root, median`, value: files(host), unit: 'ms' },
    { name: `${FILES} files with --userns=auto, beside that`, value: (files(auto) / files(host) - 1) * 100, unit: '%' },
    { name: `${FILES} files of an ordinary user, beside that`, value: (files(rootless) / files(host) - 1) * 100, unit: '%' },
  ];
}

function isOpenToAll(device: string): boolean {
  return ((statSync(device, { throwIfNoEntry: false })?.mode ?? 0) & 0o006) === 0o006;
}

function note(durations: Durations | undefined, stderr: string): void {
  const all = runDurations(stderr);
  durations?.trivial.push(...all.slice(0, STEPS));
  durations?.files.push(...all.slice(STEPS));
}

function trivial(durations: Durations | undefined): number {
  return median(durations?.trivial ?? []);
}

function files(durations: Durations | undefined): number {
  return median(durations?.files ?? []);
}
