/** `--iidfile`, `--digestfile` and `--metadata-file`: what is known of a build's result, in files for scripts. */

import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import { type BuildEvent, type Emit, isImageOutput, type Output, type OutputsResult } from '../index.ts';
import type { Flags } from './command-table.ts';

export interface ResultFiles {
  /** Takes notice of what the files will tell, on its way to `next`. */
  watch(next: Emit | undefined): Emit;
  /** Each by rename, when the build is done. Throws EXPORT_FAILED. */
  write(result: OutputsResult, env: Readonly<Record<string, string | undefined>>): Promise<void>;
}

type Warning = BuildEvent & { readonly kind: 'warning' };

/** Throws USAGE where no output is an image that could have a digest. */
export function resultFiles({ iidfile, digestfile, metadataFile, push, load }: Flags, outputs: readonly Output[]): ResultFiles {
  const hasImage = outputs.length === 0 || push === true || load === true || outputs.some(isImageOutput);
  for (const [flag, file] of Object.entries({ iidfile, digestfile })) {
    if (file !== undefined && !hasImage) throw new TsbuildError('USAGE', `Cannot write --${flag}: no output is an image`);
  }
  const warnings: Warning[] = [];
  return {
    watch: (next) => (event) => {
      if (event.kind === 'warning') warnings.push(event);
      next?.(event);
    },
    async write(result, env) {
      if (iidfile !== undefined) replaceFile(iidfile, result.imageId ?? '');
      if (digestfile !== undefined) replaceFile(digestfile, result.digest ?? '');
      if (metadataFile !== undefined) replaceFile(metadataFile, `${JSON.stringify(metadataOf(result, warnings, env), null, 2)}\n`);
    },
  };
}

/** The names are buildx's. `buildx.build.ref` names this build alone: there is no history that it could be looked up in. */
function metadataOf(
  { descriptor, imageId, names, provenance = new Map() }: OutputsResult,
  warnings: readonly Warning[],
  env: Readonly<Record<string, string | undefined>>,
): object {
  return {
    ...Object.fromEntries(
      [...provenance].map(([platform, predicate]) => [
        provenance.size === 1 ? 'buildx.build.provenance' : `buildx.build.provenance/${platform}`,
        predicate,
      ]),
    ),
    ...{ 'buildx.build.ref': `tsbuild/tsbuild/${randomBytes(13).toString('hex').slice(0, 25)}` },
    ...(goBoolean(env['BUILDX_METADATA_WARNINGS'] ?? '') === true ? { 'buildx.build.warnings': warnings.map(warningOf) } : {}),
    ...(imageId === undefined ? {} : { 'containerimage.config.digest': imageId }),
    ...(descriptor === undefined ? {} : { 'containerimage.descriptor': descriptor, 'containerimage.digest': descriptor.digest }),
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
}

function warningOf({ message, rule, hint }: Warning): object {
  return { level: 1, short: rule === undefined ? message : `${rule}: ${message}`, ...(hint === undefined ? {} : { detail: [hint] }) };
}

function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    writeFileSync(temporary, text, { flag: 'wx', flush: true });
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new TsbuildError('EXPORT_FAILED', `Cannot write ${path}: ${code}`, { cause });
  }
}
