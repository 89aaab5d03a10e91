import { TsbuildError } from '../../errors.ts';
import { type AttestedImage, listAttestations } from '../../index.ts';
import { plainJson } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** What docker's templates call predicates: the field, the name in it, and how their types begin. */
const KINDS = [
  { field: 'Provenance', name: 'SLSA', type: 'https://slsa.dev/provenance/' },
  { field: 'SBOM', name: 'SPDX', type: 'https://spdx.dev/Document' },
] as const;
const TEMPLATE = /^\{\{\s*json\s+\.(\w+)(?:\.(\w+))?\s*\}\}$/;

/** `tsbuild attestations IMAGE`: what lies beside an image in its index, as JSON; `--format` as for docker buildx imagetools inspect. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const show = shapeOf(flags.format ?? 'json');
  const platform = typeof flags.platform === 'string' ? flags.platform : undefined;
  const images = await listAttestations({ root: flags.root, signal: terminal.signal, name, platform });
  const chosen = platform === undefined ? images : images.filter((image) => image.platform === platform);
  printResult(terminal, plainJson(show(chosen), 2));
  return 0;
}

type Shape = (images: readonly AttestedImage[]) => unknown;

/** One platform: its predicates; several: by their names. Throws USAGE. */
function shapeOf(format: string): Shape {
  if (format === 'json') return (images) => images;
  const [, field, name] = TEMPLATE.exec(format) ?? [];
  const kind = KINDS.find((each) => each.field === field && (name === undefined || each.name === name));
  if (kind !== undefined) return (images) => fieldOf(images, kind, name === undefined ? 'named' : 'bare');
  throw new TsbuildError('USAGE', `Cannot show attestations as ${JSON.stringify(format.slice(0, 100))}`, {
    hint: 'Formats are json, {{json .Provenance}}, {{json .Provenance.SLSA}}, {{json .SBOM}} and {{json .SBOM.SPDX}}.',
  });
}

function fieldOf(images: readonly AttestedImage[], kind: (typeof KINDS)[number], form: 'named' | 'bare'): unknown {
  const shown = images.flatMap(({ platform, statements }) => {
    const found = statements.find(({ predicateType }) => predicateType.startsWith(kind.type));
    return found === undefined ? [] : [[platform, form === 'bare' ? found.predicate : { [kind.name]: found.predicate }] as const];
  });
  return shown.length === 1 ? shown[0]?.[1] : Object.fromEntries(shown);
}
