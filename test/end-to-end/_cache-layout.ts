/** A cache in an OCI layout, taken apart and put together again by somebody who may do anything to it. */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface CacheStep {
  key: string;
  parent: string;
  made: { key: string; nonce: string };
  layer?: { descriptor: CacheBlob; diffId: string; form: string; createdAt: string };
  ground?: string[];
}

export interface CacheBlob {
  mediaType: string;
  digest: string;
  size: number;
}

export interface CacheMount {
  name: string;
  descriptor: CacheBlob;
  diffId: string;
  mode: number;
  uid: number;
  gid: number;
}

export interface Records {
  version: number;
  steps: CacheStep[];
  mounts: CacheMount[];
}

interface Manifest {
  layers: CacheBlob[];
}

const RECORDS = 'application/vnd.tsbuild.cache.records.v1+json';

export function copyLayout(from: string, to: string): string {
  cpSync(from, to, { recursive: true });
  return to;
}

export function blobPath(layout: string, digest: string): string {
  return path.join(layout, 'blobs/sha256', digest.replace('sha256:', ''));
}

export function blobsOf(layout: string): string[] {
  return readdirSync(path.join(layout, 'blobs/sha256')).map((name) => `sha256:${name}`);
}

export function addBlob(layout: string, bytes: Buffer): CacheBlob {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  writeFileSync(blobPath(layout, digest), bytes);
  return { mediaType: '', digest, size: bytes.length };
}

/** Changes the records and makes every digest right again. `change` may give bytes instead. */
export function rewriteRecords(layout: string, change: (records: Records) => Buffer | undefined): void {
  const indexFile = path.join(layout, 'index.json');
  const index = JSON.parse(readFileSync(indexFile, 'utf8')) as { manifests: CacheBlob[] };
  const [entry] = index.manifests;
  if (entry === undefined) throw new Error('The layout has a manifest');
  const manifest = JSON.parse(readFileSync(blobPath(layout, entry.digest), 'utf8')) as Manifest;
  const own = manifest.layers.find(({ mediaType }) => mediaType === RECORDS);
  if (own === undefined) throw new Error('The manifest has records');
  const records = JSON.parse(readFileSync(blobPath(layout, own.digest), 'utf8')) as Records;
  const bytes = change(records) ?? Buffer.from(JSON.stringify(records));
  Object.assign(own, addBlob(layout, bytes), { mediaType: RECORDS });
  const { digest, size } = addBlob(layout, Buffer.from(JSON.stringify(manifest)));
  Object.assign(entry, { digest, size });
  writeFileSync(indexFile, JSON.stringify(index));
}
