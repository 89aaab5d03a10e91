/** `type=tar`: the files of the target stage as a tar, with owners, times, attributes and devices. Same files, same bytes. */
import { pipeline } from 'node:stream/promises';
import { writeLayerTar } from '../layers/layer-tar.ts';
import type { Exporter, TarOutput } from './output.ts';
import { checkPrefix, filesOf } from './platform-split.ts';
import { streamOf } from './stream-of.ts';
import { writeFile } from './write-file.ts';

export const tarExporter: Exporter<TarOutput> = {
  attributes: ['dest', 'platform-split', 'attestation-prefix'],
  parse: (fields) => ({
    ...{ type: 'tar', dest: fields.text('dest') },
    ...{ platformSplit: fields.boolean('platform-split'), attestationPrefix: fields.text('attestation-prefix') },
  }),
  check: ({ attestationPrefix }) => checkPrefix(attestationPrefix),
  async run(session, result, output) {
    const { dest = '-', platformSplit } = output;
    const { signal } = session;
    const trees = await result.trees(output);
    try {
      const chunks = writeLayerTar(filesOf(trees, platformSplit), { names: 'plain', signal });
      await writeFile(dest === '-' ? { stream: streamOf(session) } : { path: dest }, (target) => pipeline(chunks, target, { signal }));
    } finally {
      for (const { tree } of trees) tree[Symbol.dispose]();
    }
    return undefined;
  },
};
