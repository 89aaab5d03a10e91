import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { TsbuildError } from '../../errors.ts';
import type { Invocation } from '../command-table.ts';

/** An ordinary user is in the namespace by now; root needs none. */
export async function run({ operands: [command = '', ...args] }: Invocation): Promise<number> {
  const { status, signal, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error !== undefined) throw new TsbuildError('USAGE', `Cannot start ${command}: ${'code' in error ? error.code : error.message}`);
  return signal === null ? (status ?? 1) : 128 + constants.signals[signal];
}
