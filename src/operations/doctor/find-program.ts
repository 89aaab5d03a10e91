/** A program as a shell finds it. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** Its path with links resolved; undefined where PATH does not lead to it. */
export function findProgram(name: string, search = process.env['PATH'] ?? ''): string | undefined {
  for (const directory of search.split(':')) {
    if (!path.isAbsolute(directory)) continue;
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return realpathSync(file);
    } catch {
      // Not here, or nobody's to run: the next directory.
    }
  }
  return undefined;
}
