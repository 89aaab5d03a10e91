/** A build as a whole command, with the most memory that its process took. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Bench } from './_workload.ts';

export interface MeasuredBuild {
  readonly mebibytes: number;
  readonly seconds: number;
}

export function measuredBuild({ directory }: Bench, args: readonly string[]): MeasuredBuild {
  const report = path.join(directory, 'time');
  const env = { ...process.env, TSBUILD_ROOT: path.join(directory, 'state'), NODE_EXTRA_CA_CERTS: undefined };
  const command = ['-f', '%M %e', '-o', report, process.execPath, path.resolve('bin/tsbuild'), ...args];
  const { status, stderr } = spawnSync('/usr/bin/time', command, { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`The build ended with ${status}\n${stderr}`);
  const [kib = Number.NaN, seconds = Number.NaN] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
  return { mebibytes: kib / 1024, seconds };
}
