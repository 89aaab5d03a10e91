/** What an attestation says of what. Source: in-toto attestation framework, "Statement"; SLSA provenance; SPDX 2.3. */
import { canonicalJson } from '../oci/canonical-json.ts';

export const PREDICATE_TYPE = {
  slsa02: 'https://slsa.dev/provenance/v0.2',
  slsa1: 'https://slsa.dev/provenance/v1',
  spdx: 'https://spdx.dev/Document',
} as const;

/** Hex digits by the name of the algorithm, such as `sha256`. */
export type DigestSet = Readonly<Record<string, string>>;

export interface Subject {
  /** A package URL of an image, a path of a file, or `_` for what has no name. */
  readonly name: string;
  readonly digest: DigestSet;
}

/** A predicate and its type; whom it is about is told when the statement is made. */
export interface Predicate {
  readonly type: (typeof PREDICATE_TYPE)[keyof typeof PREDICATE_TYPE];
  readonly body: object;
  /** Name of the file that outputs without a manifest get. */
  readonly fileName: string;
  /** false: only for outputs that are images. */
  readonly inFiles: boolean;
}

/** Layers of this type are statements, and so are the payloads of envelopes. */
export const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';

/** SLSA v1 is defined for statements of version 1, what came before it for 0.1. */
export function statementBytes({ type, body }: Predicate, subject: readonly Subject[]): Buffer {
  const version = type === PREDICATE_TYPE.slsa1 ? 'v1' : 'v0.1';
  return canonicalJson({ _type: `https://in-toto.io/Statement/${version}`, subject, predicateType: type, predicate: body });
}
