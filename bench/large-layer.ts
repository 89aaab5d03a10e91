/** Peak memory and time of a build that makes a layer of 1 GiB. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Bench, Figure } from './_workload.ts';

export function largeLayer(bench: Bench): Figure[] {
  const context = bench.context({
    Dockerfile: 'FROM busybox\nRUN dd if=/dev/zero of=/zeros bs=1M count=768 && dd if=/dev/urandom of=/noise bs=1M count=256\n',
  });
  const report = path.join(bench.directory, 'time');
  const env = { ...process.env, TSBUILD_ROOT: path.join(bench.directory, 'state'), NODE_EXTRA_CA_CERTS: undefined };
  const args = ['-f', '%M %e', '-o', report, process.execPath, path.resolve('bin/tsbuild'), '-t', 'large:1', context];
  const { status, stderr } = spawnSync('/usr/bin/time', args, { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`The build ended with ${status}\n${stderr}`);
  const [kib = Number.NaN, seconds = Number.NaN] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
  return [
    { name: '1 GiB layer, peak memory', value: kib / 1024, unit: 'MiB', atMost: 200 },
    { name: '1 GiB layer, wall', value: seconds, unit: 's' },
  ];
}
