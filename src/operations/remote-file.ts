/** A file that is not on this machine's disk yet: standard input or a URL, read once, then open as often as wanted. */
import { openSync, readFileSync, statSync } from 'node:fs';
import { httpMaterial, type Material, type MaterialLog } from '../attestations/materials.ts';
import { download } from '../builder/execute/add-download.ts';
import type { SecretReader } from '../builder/execute/source-secrets.ts';
import { openInput } from '../context/open-input.ts';
import { type Spool, spool } from '../context/spool.ts';
import { shownUrl } from '../http/shown-url.ts';
import type { Session } from '../session.ts';

export interface RemoteFile extends Spool {
  /** As messages call it. */
  readonly name: string;
  /** Of what came from an address. */
  readonly material?: Material;
}

interface Reading extends Pick<Session, 'store' | 'signal'> {
  readonly secrets?: SecretReader | undefined;
  readonly materials: MaterialLog;
}

/** As much as a context may have when it is unpacked. */
const BYTES_MAX = 128 * 2 ** 30;

/** Standard input, to its end. Throws CONTEXT_NOT_FOUND for one that has none. */
export async function standardInput({ store, signal }: Pick<Reading, 'store' | 'signal'>): Promise<RemoteFile> {
  using input = openInput('-', signal);
  return { ...(await spool(input.chunks, store.root, BYTES_MAX)), name: 'standard input' };
}

/** What `url` gives: fetched, or kept from an earlier build and still good. Throws FETCH_FAILED. */
export async function downloaded({ store, signal, secrets, materials }: Reading, url: URL): Promise<RemoteFile> {
  const { file, digest } = await download(store, url, { signal, secrets });
  const material = httpMaterial(url, digest);
  materials.add(material);
  return {
    ...{ name: shownUrl(url), material },
    size: statSync(file).size,
    open: () => openSync(file, 'r'),
    text: () => readFileSync(file, 'utf8'),
    [Symbol.dispose]() {},
  };
}
