/** Packages in `node_modules`, as their own package.json names them. Source: npm's documentation, package.json(5), folders(5). */
import { type ByteString, toText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { readText } from './read-record.ts';

const PLACE = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/;
const BYTES_MAX = 2 << 20;

export function isNpmPackage(path: ByteString): boolean {
  return PLACE.test(path);
}

/** undefined for a file that is no package's. */
export function npmPackage(tree: FileTree, path: ByteString): InstalledPackage | undefined {
  const json = parse(readText(tree, path, BYTES_MAX));
  const [whole, version] = [field(text(json['name'])), field(text(json['version']))];
  const [, scope, name] = /^(?:(@[^/\s]+)\/)?([^/@\s]+)$/.exec(whole ?? '') ?? [];
  if (name === undefined || version === undefined) return undefined;
  return {
    ...{ manager: 'npm', name, scope, version, license: licenseOf(json), supplier: field(personOf(json['author'])) },
    ...{ homepage: field(text(json['homepage'])), summary: field(text(json['description'])), recordedIn: `/${toText(path)}` },
  };
}

function parse(source: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(source?.replace(/^\ufeff/, '') ?? '');
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    // Whatever it is, it is no package.
    return {};
  }
}

/** One expression; objects, and lists that mean "or", are from before there were expressions. */
function licenseOf(json: Readonly<Record<string, unknown>>): string | undefined {
  const all = [json['license'] ?? json['licenses']].flat(1).slice(0, 20);
  const names = all.flatMap((each) => field(text(each) ?? text((each as { type?: unknown } | null | undefined)?.type)) ?? []);
  return names.length === 0 ? undefined : names.join(' OR ');
}

function personOf(author: unknown): string | undefined {
  if (author === null || typeof author !== 'object') return text(author);
  const { name, email } = author as { name?: unknown; email?: unknown };
  return text(email) === undefined ? text(name) : `${text(name) ?? ''} <${text(email)}>`;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
