/** `tsbuild builds open`: the page of a build, as a file. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { buildPage as pageText } from '../page/build-page.ts';
import type { ImageContents, LogText } from '../page/page-data.ts';
import type { BuildRecord } from '../records/build-record.ts';
import { logFile, stepPositions } from '../records/read-record.ts';
import { isMissing, PAGE, recordsIn } from '../records/record-directory.ts';
import type { CommonOptions } from '../session.ts';
import { openStore } from '../store/open-store.ts';
import { type OneBuildOptions, recordOf, rootOf } from './builds.ts';
import { readContents } from './read-contents.ts';

export interface BuildPageOptions extends OneBuildOptions, Pick<CommonOptions, 'signal'> {
  /** Where to; by default beside the record, where it goes with it. */
  readonly output?: string | undefined;
}

/** A log on the page: its beginning and its end, and of all logs so much. */
const LOG_HEAD = 32 << 10;
const LOG_TAIL = 96 << 10;
const LOGS_MAX = 16 << 20;

/** Writes the page and returns its path. Reads the layers of the result as far as they are in the store. Throws BUILD_NOT_FOUND, EXPORT_FAILED. */
export async function buildPage(options: BuildPageOptions = {}): Promise<{ readonly id: string; readonly path: string }> {
  const root = rootOf(options);
  const record = recordOf(root, options.id);
  const images = await imagesOf(record, root, options.signal);
  const text = pageText({ record, logs: logsOf(root, record), images, madeAt: new Date().toISOString() });
  const path = resolve(options.output ?? join(recordsIn(root), record.id, PAGE));
  replaceFile(path, text);
  return { id: record.id, path };
}

async function imagesOf(record: BuildRecord, root: string, signal = new AbortController().signal): Promise<ImageContents[]> {
  if (record.images.length === 0) return [];
  await using store = await openStore(root, { signal });
  const images: ImageContents[] = [];
  for (const image of record.images) images.push(await readContents({ content: store.content, signal }, image));
  return images;
}

function logsOf(root: string, record: BuildRecord): ReadonlyMap<string, LogText> {
  const positions = stepPositions(record.stages);
  const logs = new Map<string, LogText>();
  let left = LOGS_MAX;
  for (const { id, logBytes } of record.stages.flatMap((stage) => stage.steps)) {
    if (logBytes === 0 || left <= 0 || logs.has(id)) continue;
    const log = readEnds(logFile(root, record.id, positions.get(id) ?? 0), logBytes);
    left -= log.text.length;
    logs.set(id, log);
  }
  return logs;
}

function readEnds(file: string, size: number): LogText {
  const leftOut = Math.max(0, size - LOG_HEAD - LOG_TAIL);
  if (leftOut === 0) return { text: readPart(file, 0, size), leftOut };
  const tail = readPart(file, size - LOG_TAIL, LOG_TAIL);
  return { text: `${readPart(file, 0, LOG_HEAD)}\n[… ${leftOut} bytes …]\n${tail}`, leftOut };
}

function readPart(file: string, at: number, length: number): string {
  const bytes = Buffer.alloc(length);
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return bytes.toString('utf8', 0, readSync(fd, bytes, 0, length, at));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new TsbuildError('EXPORT_FAILED', `Cannot write the page ${path}: ${code}`, { cause });
  }
}
