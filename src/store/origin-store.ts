/**
 * Where a blob is known to be: registries and repositories it was pulled from or pushed to, so that a push can ask for a
 * cross-repository mount (distribution-spec "Mounting a blob from another repository"). A hint, never trusted, and lost without harm.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { arrayField, fieldsOf, requiredString } from '../oci/json-fields.ts';
import { parseStrictJson } from '../oci/strict-json.ts';
import { openSealedJson, sealedJson } from '../sealed-json.ts';
import { writeAtomically } from './durable-files.ts';
import { isCode } from './error-code.ts';
import type { ScratchDirectory } from './scratch-directory.ts';

export interface Origin {
  readonly registry: string;
  readonly repository: string;
}

export interface OriginStore {
  /** Latest first. */
  get(digest: Digest): readonly Origin[];
  add(digest: Digest, origin: Origin): Promise<void>;
}

/** As many as one push could try. */
const ORIGINS_MAX = 8;

export function openOriginStore(root: string, scratch: ScratchDirectory): OriginStore {
  const pathOf = (digest: Digest): string => join(root, 'origins', `${hexOf(digest)}.json`);
  return {
    get: (digest) => readOrigins(pathOf(digest)),
    async add(digest, { registry, repository }) {
      const known = readOrigins(pathOf(digest));
      const [latest] = known;
      if (latest?.registry === registry && latest.repository === repository) return;
      const others = known.filter((origin) => origin.registry !== registry || origin.repository !== repository);
      const origins = [{ registry, repository }, ...others].slice(0, ORIGINS_MAX);
      await writeAtomically(scratch, pathOf(digest), Buffer.from(sealedJson({ origins })));
    },
  };
}

/** A torn or foreign file counts as none. */
function readOrigins(path: string): Origin[] {
  try {
    const bytes = readFileSync(path);
    if (openSealedJson(bytes.toString('utf8')) === undefined) return [];
    const fields = fieldsOf(parseStrictJson(bytes, path), path, []);
    return (arrayField(fields, 'origins') ?? []).map((item) => {
      const origin = fieldsOf(item, path, []);
      return { registry: requiredString(origin, 'registry'), repository: requiredString(origin, 'repository') };
    });
  } catch (error) {
    if (isCode(error, 'ENOENT') || error instanceof TsbuildError) return [];
    throw error;
  }
}
