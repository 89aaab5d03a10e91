import type { Writable } from 'node:stream';
import { TsbuildError } from '../errors.ts';
import type { ExportSession } from './output.ts';

/** Where an output to `-` goes. Throws USAGE where the caller of the library gave nothing. */
export function streamOf({ stdout }: Pick<ExportSession, 'stdout'>): Writable {
  if (stdout !== undefined) return stdout;
  throw new TsbuildError('USAGE', 'Cannot write an output to "-": the build was given no stdout');
}
