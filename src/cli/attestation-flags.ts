/** `--attest`, `--provenance` and `--sbom`, and BUILDX_METADATA_PROVENANCE, as docker buildx reads them. */

import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import { type AttestationRequest, type ProvenanceMode, parseAttestation } from '../index.ts';
import type { Flags } from './command-table.ts';
import { csvWords } from './csv-flags.ts';

/** The shorthands win over `--attest`, and of each the last. Throws USAGE. */
export function attestationsOf({ attest = [], provenance, sbom }: Pick<Flags, 'attest' | 'provenance' | 'sbom'>): AttestationRequest {
  const short = [
    ...(provenance ?? []).map((value) => shorthand('provenance', value)),
    ...(sbom ?? []).map((value) => shorthand('sbom', value)),
  ];
  const requests = [...attest, ...short].map((text) => parseAttestation(fieldsOf(text)));
  return Object.assign({}, ...requests) as AttestationRequest;
}

/** What `--metadata-file` is to tell; undefined: nothing. Throws USAGE. */
export function metadataProvenance(env: Readonly<Record<string, string | undefined>>): ProvenanceMode | undefined {
  const value = env['BUILDX_METADATA_PROVENANCE'] || 'min';
  if (value === 'min' || value === 'max') return value;
  if (value === 'disabled' || goBoolean(value) === false) return undefined;
  throw new TsbuildError('USAGE', `Cannot use BUILDX_METADATA_PROVENANCE=${value.slice(0, 100)}: not min, max or disabled`);
}

function shorthand(type: string, value: string): string {
  const said = goBoolean(value);
  if (said === undefined) return `type=${type},${value}`;
  return said ? `type=${type}` : `type=${type},disabled=true`;
}

function fieldsOf(text: string): [string, string | undefined][] {
  return csvWords('--attest', text).map((word) => {
    const equals = word.indexOf('=');
    return equals === -1 ? [word.toLowerCase(), undefined] : [word.slice(0, equals).toLowerCase(), word.slice(equals + 1)];
  });
}
