/** What is in the layers of a recorded image, as far as the store still has them. */
import { TsbuildError } from '../errors.ts';
import { layerLimits } from '../layers/layer-limits.ts';
import { readLayer } from '../layers/read-layer.ts';
import { openWasteMeter, type WasteMeter } from '../layers/wasted-bytes.ts';
import type { ImageContents, LayerFinding } from '../page/page-data.ts';
import type { RecordedImage } from '../records/build-record.ts';
import type { ContentStore } from '../store/content-store.ts';
import { display } from '../tree/byte-string.ts';

/** Of all layers of an image, decompressed: minutes of reading. */
const BYTES_MAX = 32 * 2 ** 30;

export interface ContentsSource {
  readonly content: ContentStore;
  readonly signal: AbortSignal;
}

/** Reads each layer once, its digest checked. What cannot be read is a finding, and no error; an interruption is one. */
export async function readContents(source: ContentsSource, image: RecordedImage): Promise<ImageContents> {
  const meter = openWasteMeter();
  const states: ('read' | Exclude<LayerFinding, { kind: 'read' }>)[] = [];
  const budget = { left: BYTES_MAX };
  for (const layer of image.layers) {
    meter.nextLayer();
    states.push(await readOne(source, { layer, meter, budget }));
  }
  const { layers, wasted, isWhole } = meter.result();
  const findings = layers.map((contents, i): LayerFinding => {
    const state = states[i];
    if (state !== undefined && state !== 'read') return state;
    const { files, bytes, wasted: hidden } = contents;
    return {
      kind: 'read',
      files,
      bytes,
      wasted: hidden,
      largest: contents.largest.map(({ path, bytes: size }) => ({ path: display(path), bytes: size })),
    };
  });
  const sum = (of: 'bytes' | 'wasted'): number =>
    findings.reduce((total, finding) => total + (finding.kind === 'read' ? finding[of] : 0), 0);
  return {
    ...{ platform: image.platform, layers: findings, bytes: sum('bytes'), wastedBytes: sum('wasted') },
    wasted: wasted.map((file) => ({ ...file, path: display(file.path) })),
    isWhole: isWhole && states.every((state) => state === 'read'),
  };
}

interface Reading {
  readonly layer: RecordedImage['layers'][number];
  readonly meter: WasteMeter;
  readonly budget: { left: number };
}

async function readOne(
  { content, signal }: ContentsSource,
  { layer, meter, budget }: Reading,
): Promise<'read' | Exclude<LayerFinding, { kind: 'read' }>> {
  if (!content.has(layer.digest)) return { kind: 'missing' };
  const limits = { ...layerLimits(), maxBytes: Math.min(layerLimits().maxBytes, budget.left) };
  try {
    for await (const change of readLayer(content.stream(layer.digest), { mediaType: layer.mediaType, limits, signal })) {
      if (change.kind === 'add' && change.node.type === 'file' && change.hardLinkTo === undefined) budget.left -= change.node.size;
      meter.take(change);
    }
    return 'read';
  } catch (error) {
    if (!(error instanceof TsbuildError) || signal.aborted) throw error;
    return { kind: 'unread', why: error.message };
  }
}
