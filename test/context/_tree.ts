/** A temporary directory that is gone after the test. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface TestDirectory extends Disposable {
  readonly path: string;
}

/** `files`: path → content, `-> target` for a link, undefined for an empty directory. */
export function makeDirectory(files: Readonly<Record<string, string | undefined>>): TestDirectory {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-context-'));
  for (const [name, content] of Object.entries(files)) {
    const file = join(path, name);
    mkdirSync(content === undefined ? file : dirname(file), { recursive: true });
    if (content === undefined) continue;
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), file);
    else writeFileSync(file, content);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
