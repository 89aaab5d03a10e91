/** The registry of output types: attributes → an output; a build's result → all its outputs. */
import { TsbuildError } from '../errors.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import { didYouMean } from '../parser/suggest.ts';
import { archiveExporter } from './archive-exporter.ts';
import { cacheOnlyExporter } from './cache-only-exporter.ts';
import { imageExporter } from './image-exporter.ts';
import { localExporter } from './local-exporter.ts';
import type { ArchiveOutput, BuiltResult, Exporter, ExportSession, ImageOutput, Output } from './output.ts';
import { outputFields } from './output-fields.ts';
import { tarExporter } from './tar-exporter.ts';

type OutputOf<T, O = Output> = O extends Output ? (T extends O['type'] ? O : never) : never;
type Exporters = { readonly [T in Output['type']]: Exporter<OutputOf<T>> };

const EXPORTERS: Exporters = {
  image: imageExporter,
  registry: imageExporter,
  oci: archiveExporter,
  docker: archiveExporter,
  local: localExporter,
  tar: tarExporter,
  cacheonly: cacheOnlyExporter,
};
const TYPES = Object.keys(EXPORTERS) as Output['type'][];

/** An output by its attributes, as `--output type=local,dest=out` names them. Throws USAGE for what is not known. */
export function parseOutput(attributes: Iterable<readonly [string, string]>): Output {
  const map = new Map(attributes);
  const name = map.get('type');
  const type = TYPES.find((known) => known === name);
  if (name === undefined) throw new TsbuildError('USAGE', 'Cannot use an output without type=', { hint: `Types are ${TYPES.join(', ')}.` });
  if (type === undefined) {
    throw new TsbuildError('USAGE', `Cannot use an output of the type ${JSON.stringify(name.slice(0, 100))}${didYouMean(name, TYPES)}`, {
      hint: `Types are ${TYPES.join(', ')}.`,
    });
  }
  const exporter: Exporter<Output> = EXPORTERS[type];
  return exporter.parse(outputFields(type, map, exporter.attributes));
}

/** Asked before anything runs. Throws USAGE, REFERENCE_INVALID. */
export function checkOutputs(outputs: readonly Output[], build: { readonly tags: readonly string[]; readonly isIndex: boolean }): void {
  for (const output of outputs) exporterOf(output).check?.(output, build);
  if (outputs.filter(writesToStdout).length > 1) {
    throw new TsbuildError('USAGE', 'Cannot write two outputs to standard output', { hint: 'Give all but one a file: dest=FILE.' });
  }
}

/** One after the other; the first image among them is what the build is known by. */
export async function exportOutputs(
  session: ExportSession,
  result: BuiltResult,
  outputs: readonly Output[],
): Promise<AssembledImage | undefined> {
  let first: AssembledImage | undefined;
  for (const output of outputs) {
    session.signal.throwIfAborted();
    const image = await exporterOf(output).run(session, result, output);
    first ??= image;
  }
  return first;
}

/** Whether standard output belongs to the output alone. */
export function writesToStdout(output: Output): boolean {
  if (output.type === 'tar' || output.type === 'oci') return (output.dest ?? '-') === '-';
  return output.type === 'docker' && output.dest === '-';
}

export function isImageOutput(output: Output): output is ImageOutput | ArchiveOutput {
  return output.type !== 'local' && output.type !== 'tar' && output.type !== 'cacheonly';
}

function exporterOf(output: Output): Exporter<Output> {
  return EXPORTERS[output.type];
}
