/** The cases of fixtures/dockerfiles: what to build, and contexts made as their tables say, since git keeps neither modes nor times. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const CASES = path.resolve('fixtures/dockerfiles');

/** The base of the cases; a name of its own, since the peer's store is shared. */
export const BASE = 'busybox:corpus';

/** Seconds; all files of a context have this time unless they say otherwise. */
const CONTEXT_TIME = 981_173_106;

export interface ContextEntry {
  readonly text?: string;
  readonly base64?: string;
  /** Octal. */
  readonly mode?: string;
  readonly owner?: `${number}:${number}`;
  readonly link?: string;
  /** Another name of an earlier file. */
  readonly hard?: string;
  readonly fifo?: true;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly mtime?: number;
}

type ContextTable = Readonly<Record<string, string | ContextEntry>>;

export interface Case {
  readonly name: string;
  readonly context: ContextTable;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  /** What we do not have yet, which must be said by UNSUPPORTED. */
  readonly unsupported: boolean;
  /** Why our result is another one on purpose; it lies in ours.json. */
  readonly differs: string | undefined;
}

/** All cases by name. */
export function readCases(): Case[] {
  const shared = readJson(path.join(CASES, 'contexts.json')) as Record<string, ContextTable>;
  const names = readdirSync(CASES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map(({ name }) => readCase(name, shared)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readCase(name: string, shared: Readonly<Record<string, ContextTable>>): Case {
  const file = path.join(CASES, name, 'case.json');
  const { context = 'standard', ...rest } = (existsSync(file) ? readJson(file) : {}) as Partial<Omit<Case, 'context'>> & {
    context?: string | ContextTable;
  };
  const table = typeof context === 'string' ? shared[context] : context;
  if (table === undefined) throw new Error(`${name}: no context ${JSON.stringify(context)}`);
  return { name, context: table, buildArgs: {}, target: undefined, unsupported: false, differs: undefined, ...rest };
}

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Makes the context, with the Dockerfile in it, in a new directory, which is returned. */
export function makeContext({ name, context }: Case): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-case-'));
  for (const [file, entry] of Object.entries(context)) makeEntry(directory, file, typeof entry === 'string' ? { text: entry } : entry);
  writeFileSync(path.join(directory, 'Dockerfile'), readFileSync(path.join(CASES, name, 'Dockerfile')));
  for (const file of [...Object.keys(context), 'Dockerfile'].reverse()) {
    const entry = context[file];
    const time = (typeof entry === 'object' ? entry.mtime : undefined) ?? CONTEXT_TIME;
    lutimesSync(path.join(directory, file), time, time);
  }
  return directory;
}

function makeEntry(root: string, name: string, entry: ContextEntry): void {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  if (name.endsWith('/')) mkdirSync(file, { recursive: true });
  else if (entry.link !== undefined) symlinkSync(entry.link, file);
  else if (entry.hard !== undefined) linkSync(path.join(root, entry.hard), file);
  else if (entry.fifo) execFileSync('mkfifo', [file]);
  else writeFileSync(file, entry.base64 === undefined ? (entry.text ?? '') : Buffer.from(entry.base64, 'base64'));
  if (entry.hard !== undefined) return;
  const [uid = 0, gid = 0] = (entry.owner ?? '0:0').split(':').map(Number);
  lchownSync(file, uid, gid);
  if (entry.link === undefined) chmodSync(file, Number.parseInt(entry.mode ?? (name.endsWith('/') ? '0755' : '0644'), 8));
  for (const [key, value] of Object.entries(entry.xattrs ?? {})) execFileSync('setfattr', ['-h', '-n', key, '-v', value, file]);
}
