/** Package URLs: names of packages that every tool reads alike. Source: the package-url specification (purl-spec), and its types. */
import { formatPlatform, normalizePlatform, type Platform } from '../oci/platform.ts';
import { familiarName, parseReference } from '../oci/reference.ts';

export interface PackageUrl {
  readonly type: string;
  /** Parts are separated by `/`. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly qualifiers?: Readonly<Record<string, string | undefined>>;
}

/** The one canonical spelling: qualifiers sorted, those without a value left out. */
export function packageUrl({ type, namespace = '', name, version, qualifiers = {} }: PackageUrl): string {
  const path = [...namespace.split('/'), name].filter((part) => part !== '').map(encode);
  const pairs = Object.entries(qualifiers)
    .filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encode(value)}`);
  const query = pairs.length === 0 ? '' : `?${pairs.join('&')}`;
  return `pkg:${type}/${path.join('/')}${version === undefined || version === '' ? '' : `@${encode(version)}`}${query}`;
}

/** As BuildKit names images: `pkg:docker/alpine@3.17?platform=linux%2Famd64`. */
export function imagePurl(name: string, platform: Platform): string {
  const reference = parseReference(name);
  const { registry, repository, tag, digest } = reference;
  const familiar = familiarName({ registry, repository });
  const slash = familiar.lastIndexOf('/');
  const qualifiers = { digest, platform: formatPlatform(normalizePlatform(platform)) };
  const [namespace, last] = [familiar.slice(0, Math.max(0, slash)), familiar.slice(slash + 1)];
  return packageUrl({ type: 'docker', namespace, name: last, version: tag, qualifiers });
}

function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
}
