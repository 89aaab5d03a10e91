/** What a build context holds and what each line of the ignore file keeps out of it: the answer to "why is my context so big?". */
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openDirectoryContext } from '../context/directory-context.ts';
import { type IgnoreRule, type IgnoreRules, ignored } from '../context/ignore-file.ts';
import { readIgnoreFile } from '../context/read-ignore-file.ts';
import { type ByteString, display, join, toText } from '../tree/byte-string.ts';

export interface ListContextOptions {
  /** A directory. */
  readonly context: string;
  /** Path of the Dockerfile, whose own ignore file would count; by default `Dockerfile` in the context. */
  readonly dockerfile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for each file of the context, directories before what is in them are left out; names in byte order. */
  readonly onFile?: ((file: ContextFile) => void) | undefined;
}

export interface ContextFile {
  /** From the context, for display: bytes that are not UTF-8 are escaped. */
  readonly path: string;
  /** Bytes; 0 for everything but regular files. */
  readonly size: number;
}

export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export interface IgnoreLine extends Amount {
  readonly line: number;
  readonly text: string;
  /** A `!` line counts what it takes back in. */
  readonly action: 'ignore' | 'include';
}

export interface ContextListing extends Amount {
  /** undefined where there is no ignore file. */
  readonly ignoreFile: string | undefined;
  /** Every rule of the ignore file, with what it alone decided. */
  readonly lines: readonly IgnoreLine[];
}

/** Files between two turns of the event loop. */
const TURN_FILES = 1000;

interface Walk {
  readonly rules: IgnoreRules;
  readonly counts: Map<IgnoreRule | undefined, { files: number; bytes: number }>;
  readonly options: ListContextOptions;
}

/** Walks the whole directory, what is ignored too; memory does not grow with the files. Throws CONTEXT_NOT_FOUND, DOCKERFILE_SYNTAX. */
export async function listContext(options: ListContextOptions): Promise<ContextListing> {
  const rules = readIgnoreFile(options.context, options.dockerfile ?? path.join(options.context, 'Dockerfile'));
  using everything = openDirectoryContext(options.context, undefined);
  const walk: Walk = { rules: rules ?? { file: '', rules: [] }, counts: new Map(), options };
  let seen = 0;
  for (const _ of walkFiles(walk, everything)) {
    if (++seen % TURN_FILES === 0) await nextTurn(undefined, { signal: options.signal });
  }
  const lines = walk.rules.rules.map((rule): IgnoreLine => {
    const { files = 0, bytes = 0 } = walk.counts.get(rule) ?? {};
    return { line: rule.line, text: rule.text, action: rule.action, files, bytes };
  });
  const kept = [...walk.counts].filter(([rule]) => rule?.action !== 'ignore').map(([, count]) => count);
  return {
    ignoreFile: rules?.file,
    files: kept.reduce((sum, { files }) => sum + files, 0),
    bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0),
    lines,
  };
}

/** Yields after each file, so that the caller can take a turn. */
function* walkFiles(walk: Walk, tree: ReturnType<typeof openDirectoryContext>, at = '' as ByteString): Generator<void> {
  for (const name of tree.list(at)) {
    const file = join(at, name);
    const node = tree.stat(file);
    if (node?.type === 'directory') yield* walkFiles(walk, tree, file);
    else if (node !== undefined) {
      count(walk, file, node.size);
      yield;
    }
  }
}

function count({ rules, counts, options }: Walk, file: ByteString, size: number): void {
  const { rule } = ignored(rules, toText(file));
  const amount = counts.get(rule) ?? { files: 0, bytes: 0 };
  amount.files++;
  amount.bytes += size;
  counts.set(rule, amount);
  if (rule?.action !== 'ignore') options.onFile?.({ path: display(file), size });
}
