/** Where the state directory is unless somebody says otherwise. */
import { homedir } from 'node:os';
import path from 'node:path';

/** `$TSBUILD_ROOT`, else `/var/lib/tsbuild` for root and `$XDG_DATA_HOME/tsbuild` for others. */
export function defaultRoot(): string {
  const named = process.env['TSBUILD_ROOT'];
  if (named !== undefined && named !== '') return named;
  if (process.getuid?.() === 0) return '/var/lib/tsbuild';
  const data = process.env['XDG_DATA_HOME'];
  return path.join(data === undefined || data === '' ? path.join(homedir(), '.local', 'share') : data, 'tsbuild');
}
