/** What `CONTEXT` and `--build-context NAME=` may be, told apart by how they are written. Source: Docker's reference, "docker buildx build". */
import { statSync } from 'node:fs';
import path from 'node:path';
import { TsbuildError } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import { type GitAddress, isGitAddress, parseGitAddress } from './git-url.ts';

export type ContextSource =
  | { readonly kind: 'directory'; readonly path: string }
  /** A tar, or a Dockerfile and no files. */
  | { readonly kind: 'stdin' }
  | { readonly kind: 'git'; readonly address: GitAddress }
  /** A tar, or a Dockerfile and no files. */
  | { readonly kind: 'url'; readonly url: URL }
  /** A reference; `oci-layout://` with an absolute path. */
  | { readonly kind: 'image'; readonly reference: string };

/** Throws CONTEXT_NOT_FOUND, REFERENCE_INVALID, DOCKERFILE_SYNTAX; whether a directory is there is not asked. */
export function parseContextSource(text: string): ContextSource {
  if (text === '-') return { kind: 'stdin' };
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (isGitAddress(text)) return { kind: 'git', address: parseGitAddress(text) };
  if (scheme === undefined) return directoryOrGitHub(text);
  switch (scheme.toLowerCase()) {
    case 'http':
    case 'https':
      return { kind: 'url', url: parseUrl(text) };
    case 'docker-image':
      return imageSource(text.slice('docker-image://'.length));
    case 'oci-layout':
      return { kind: 'image', reference: `oci-layout://${layoutPath(text.slice('oci-layout://'.length))}` };
    default:
      throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot use a build context of the kind ${scheme.slice(0, 40)}://`, {
        hint: 'It can be a directory, - (standard input), a git address, an http(s) address, docker-image:// or oci-layout://.',
      });
  }
}

/** Such an address was written without a scheme before there were others; a directory of that name wins. */
function directoryOrGitHub(text: string): ContextSource {
  const isGitHub = text.startsWith('github.com/') && statSync(text, { throwIfNoEntry: false }) === undefined;
  return isGitHub ? { kind: 'git', address: parseGitAddress(`https://${text}`) } : { kind: 'directory', path: text };
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new TsbuildError('CONTEXT_NOT_FOUND', 'Cannot read the build context: its address is no valid URL');
}

function imageSource(reference: string): ContextSource {
  parseReference(reference);
  return { kind: 'image', reference };
}

/** Absolute, with the tag or digest that follows it. */
function layoutPath(text: string): string {
  if (text === '') throw new TsbuildError('CONTEXT_NOT_FOUND', 'Cannot read an OCI layout: oci-layout:// names no directory');
  return path.isAbsolute(text) ? text : path.join(process.cwd(), text);
}
