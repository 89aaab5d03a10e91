import { readFileSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import { createIndex } from '../../index.ts';
import { annotationsOf } from '../annotation-flag.ts';
import type { Flags, Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** Longest source that is read from a file. */
const SOURCE_MAX = 64 * 1024;

/** `tsbuild manifest create NAME SOURCE...`: prints the digest of the index, or the index itself (`--dry-run`). */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const tags = flags.tag ?? [];
  const names = tags.length > 0 ? tags : operands.slice(0, 1);
  if (names.length === 0)
    throw new TsbuildError('USAGE', 'Cannot make an index: it has no name', {
      hint: 'Such as: tsbuild manifest create app:1 app:amd64 app:arm64',
    });
  const sources = [...listFlag(flags.file).map(readSourceFile), ...(tags.length > 0 ? operands : operands.slice(1))];
  const annotations = annotationsOf(flags.annotation ?? [], 'index');
  const { append, dryRun } = flags;
  const created = await withProgress(terminal, flags, (options) =>
    createIndex({ ...options, names, sources, annotations, append, dryRun, platforms: listFlag(flags.platform) }),
  );
  printResult(terminal, dryRun === true ? created.bytes.toString('utf8') : created.digest);
  return 0;
}

function listFlag(value: Flags['file']): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}

function readSourceFile(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length <= SOURCE_MAX) return text;
  } catch (cause) {
    throw new TsbuildError('USAGE', `Cannot read the source ${path}: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  throw new TsbuildError('USAGE', `Cannot read the source ${path}: it is longer than ${SOURCE_MAX} bytes`);
}
