/** Files fetched by URL, kept with what the server said of them. The digest decides: a kept file is hashed again before it is used. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { errorCodeOf, TsbuildError } from '../errors.ts';
import { markUsed } from '../sys/use-mark.ts';
import { openRecordFiles } from './record-files.ts';

export interface Download {
  /** sha256 in hex. */
  readonly digest: string;
  readonly size: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

export interface DownloadCache {
  /** undefined where nothing of `url` is kept. */
  get(url: string): Download | undefined;
  /** The kept file with this digest, pinned and just checked; undefined where it is gone or damaged. */
  find(digest: string): Promise<string | undefined>;
  /** Keeps `body` under its digest; `url` finds it once `set`. */
  store(body: AsyncIterable<Buffer>): Promise<{ digest: string; size: number }>;
  set(url: string, download: Download): void;
}

/** `pin`: keeps a file from being removed, by its digest. */
export function openDownloadCache(root: string, pin: (digest: string) => void = () => {}): DownloadCache {
  const records = openRecordFiles(path.join(root, 'cache', 'downloads'), isDownload);
  const files = path.join(root, 'cache', 'downloads', 'files');
  mkdirSync(files, { recursive: true, mode: 0o700 });
  removeLeftovers(files);
  const keyOf = (url: string) => createHash('sha256').update(url).digest('hex');
  return {
    get: (url) => records.get(keyOf(url)),
    set: (url, download) => records.set(keyOf(url), download),
    async find(digest) {
      const file = path.join(files, digest);
      if (!/^[a-f0-9]{64}$/.test(digest)) return undefined;
      pin(digest);
      const stat = statSync(file, { throwIfNoEntry: false });
      if (stat === undefined) return undefined;
      markUsed(file, stat);
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
      return hash.digest('hex') === digest ? file : undefined;
    },
    async store(body) {
      const temporary = path.join(files, `.tmp-${process.pid}-${randomBytes(8).toString('hex')}`);
      try {
        const written = await write(temporary, body);
        pin(written.digest);
        renameSync(temporary, path.join(files, written.digest));
        return written;
      } catch (error) {
        const code = errorCodeOf(error);
        if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
        throw new TsbuildError('NO_SPACE', `Cannot keep a download in ${files}: ${code}`, { cause: error });
      } finally {
        rmSync(temporary, { force: true });
      }
    },
  };
}

/** Drops what is known of URLs whose file is not kept any more. */
export function forgetLostDownloads(root: string): void {
  const directory = path.join(root, 'cache', 'downloads');
  if (!existsSync(directory)) return;
  const records = openRecordFiles(directory, isDownload);
  for (const [key, { digest }] of records.entries()) if (!existsSync(path.join(directory, 'files', digest))) records.remove(key);
}

async function write(file: string, body: AsyncIterable<Buffer>): Promise<{ digest: string; size: number }> {
  const handle = await open(file, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of body) {
      hash.update(chunk);
      size += chunk.length;
      await handle.writeFile(chunk);
    }
    return { digest: hash.digest('hex'), size };
  } finally {
    await handle.close();
  }
}

function removeLeftovers(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = /^\.tmp-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(path.join(directory, name), { force: true });
  }
}

function isDownload(value: unknown): value is Download {
  const record = value as Partial<Download> | null;
  return typeof record === 'object' && record !== null && /^[a-f0-9]{64}$/.test(String(record.digest)) && typeof record.size === 'number';
}
