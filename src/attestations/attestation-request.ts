/** Which attestations a build is to make: the values of `--attest`, `--provenance` and `--sbom`. Source: Docker's reference, "docker buildx build". */

import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';
import { didYouMean } from '../parser/suggest.ts';

export interface AttestationRequest {
  readonly provenance?: ProvenanceRequest | undefined;
  readonly sbom?: SbomRequest | undefined;
}

export interface ProvenanceRequest {
  /** `min` holds neither arguments nor names of secrets nor the Dockerfile. */
  readonly mode: ProvenanceMode;
  /** Of SLSA's predicate; by default v0.2. */
  readonly version?: 'v0.2' | 'v1' | undefined;
  /** Who builds: a URL that whoever verifies knows. */
  readonly builderId?: string | undefined;
  /** The caller's word for it that the build can be repeated. */
  readonly reproducible?: boolean | undefined;
  /** Outputs that are files, `local` and `tar`, get none. */
  readonly inlineOnly?: boolean | undefined;
  /** In `local` and `tar`; by default `provenance.json`. */
  readonly fileName?: string | undefined;
}

export type ProvenanceMode = 'min' | 'max';

export interface SbomRequest {
  readonly inlineOnly?: boolean | undefined;
}

type Field = readonly [name: string, value: string | undefined];

const PROVENANCE = ['mode', 'version', 'builder-id', 'reproducible', 'inline-only', 'filename', 'disabled'];
const SBOM = ['generator', 'inline-only', 'disabled'];
const FILE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;

/** The fields of one `--attest`, `type` among them. undefined: this type is not wanted. Throws USAGE. */
export function parseAttestation(fields: readonly Field[]): AttestationRequest {
  const values = new Map(fields.map(([name, value]) => [name, value ?? 'true']));
  const type = values.get('type');
  values.delete('type');
  const known = type === 'provenance' ? PROVENANCE : type === 'sbom' ? SBOM : undefined;
  if (known === undefined) throw usage(`the type ${JSON.stringify(type ?? '')}`, 'Types are provenance and sbom.');
  for (const name of values.keys()) {
    if (!known.includes(name)) throw usage(`${JSON.stringify(name.slice(0, 100))} of ${type}${didYouMean(name, known)}`);
  }
  if (isTrue(values, 'disabled') === true) return type === 'provenance' ? { provenance: undefined } : { sbom: undefined };
  return type === 'provenance' ? { provenance: provenanceOf(values) } : { sbom: sbomOf(values) };
}

function provenanceOf(values: ReadonlyMap<string, string>): ProvenanceRequest {
  const fileName = values.get('filename');
  if (fileName !== undefined && !FILE_NAME.test(fileName))
    throw usage(`filename=${JSON.stringify(fileName.slice(0, 100))}: no name of a file`);
  return {
    mode: choice(values, 'mode', ['min', 'max']) ?? 'max',
    version: choice(values, 'version', ['v0.2', 'v1']),
    builderId: values.get('builder-id'),
    reproducible: isTrue(values, 'reproducible'),
    inlineOnly: isTrue(values, 'inline-only'),
    fileName,
  };
}

function sbomOf(values: ReadonlyMap<string, string>): SbomRequest {
  if (values.has('generator')) {
    throw new TsbuildError('UNSUPPORTED', 'Cannot run an SBOM generator: tsbuild reads the packages of an image by itself', {
      hint: 'Leave generator= away.',
    });
  }
  return { inlineOnly: isTrue(values, 'inline-only') };
}

function choice<T extends string>(values: ReadonlyMap<string, string>, name: string, choices: readonly T[]): T | undefined {
  const value = values.get(name);
  const found = choices.find((each) => each === value);
  if (value === undefined || found !== undefined) return found;
  throw usage(`${name}=${JSON.stringify(value.slice(0, 100))}: not one of ${choices.join(', ')}${didYouMean(value, choices)}`);
}

function isTrue(values: ReadonlyMap<string, string>, name: string): boolean | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const said = goBoolean(value);
  if (said === undefined) throw usage(`${name}=${JSON.stringify(value.slice(0, 100))}: neither true nor false`);
  return said;
}

function usage(reason: string, hint?: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot make an attestation with ${reason}`, { hint });
}
