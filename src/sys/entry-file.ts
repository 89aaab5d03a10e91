/** Programs of ours that run in a process or a thread of their own are files of their own in the package. */
import { fileURLToPath } from 'node:url';

/** Beside the module `from`, compiled file by file and in the bundle alike. */
export function entryFile(name: string, from: string): string {
  return fileURLToPath(new URL(`./${name}`, from));
}
