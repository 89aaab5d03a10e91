import { inspectManifest, type ManifestDetails, type ManifestEntry } from '../../index.ts';
import { formatPlatform } from '../../oci/platform.ts';
import { formatSize } from '../../text/quantities.ts';
import { plainJson, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { tableLines } from '../table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild manifest inspect NAME`: a table, JSON, or the bytes of the document alone (`--raw`). */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const { root, remote, referrers, artifactType, raw } = flags;
  const details = await inspectManifest({ ...{ root, name, remote, referrers, artifactType, raw }, signal: terminal.signal });
  if (raw === true) terminal.stdout.write(details.bytes);
  else if (flags.format === 'json') printResult(terminal, plainJson(jsonOf(details), 2));
  else for (const line of linesOf(details)) printResult(terminal, plainText(line));
  return 0;
}

function jsonOf({ bytes: _, ...details }: ManifestDetails): object {
  return details;
}

function linesOf(details: ManifestDetails): string[] {
  const { name, from, descriptor, manifest, index, entries, referrers } = details;
  const { artifactType, subject, annotations } = index ?? manifest ?? {};
  return [
    ...tableLines([
      ['Name:', name],
      ['From:', from === 'store' ? 'the local store' : 'its registry'],
      ['Media type:', descriptor.mediaType],
      ['Digest:', descriptor.digest],
      ...(artifactType === undefined ? [] : [['Artifact type:', artifactType]]),
      ...(subject === undefined ? [] : [['Subject:', subject.digest]]),
      ...annotationRows(annotations),
    ]),
    '',
    ...tableLines([['PLATFORM', 'DIGEST', 'SIZE'], ...entries.map(rowOf)]).flatMap((line, row) => [line, ...noteLines(entries[row - 1])]),
    ...(manifest === undefined
      ? []
      : [
          '',
          ...tableLines([
            ['LAYER', 'SIZE', 'MEDIA TYPE'],
            ...manifest.layers.map((layer) => [layer.digest, formatSize(layer.size), layer.mediaType]),
          ]),
        ]),
    ...(referrers === undefined ? [] : ['', ...referrerLines(referrers)]),
  ];
}

function annotationRows(annotations: Readonly<Record<string, string>> | undefined): string[][] {
  return Object.entries(annotations ?? {}).map(([key, value], row) => [row === 0 ? 'Annotations:' : '', `${key}=${value}`]);
}

/** Attestations are for no platform, and say so as `unknown/unknown`. */
function rowOf({ descriptor, platform, totalSize }: ManifestEntry): string[] {
  return [platform === undefined ? '-' : formatPlatform(platform), descriptor.digest, totalSize === undefined ? '' : formatSize(totalSize)];
}

function noteLines(entry: ManifestEntry | undefined): string[] {
  const { annotations = {}, artifactType } = entry?.descriptor ?? {};
  return [
    ...(artifactType === undefined ? [] : [`  ${artifactType}`]),
    ...Object.entries(annotations).map(([key, value]) => `  ${key}=${value}`),
  ];
}

function referrerLines({ referrers, from }: NonNullable<ManifestDetails['referrers']>): string[] {
  const source = from === 'api' ? 'as the registry lists them' : 'as a tag lists them: the registry itself keeps no list';
  if (referrers.length === 0) return [`Referrers: none, ${source}`];
  const rows = referrers.map(({ artifactType = '-', digest, size }) => [artifactType, digest, formatSize(size)]);
  return [`Referrers, ${source}:`, ...tableLines([['ARTIFACT TYPE', 'DIGEST', 'SIZE'], ...rows])];
}
