/** An image of 20,000 files and 64 MiB that do not compress, out of the cache into OCI archives, beside the peers. */
import path from 'node:path';
import { makeFiles } from './_files-context.ts';
import { BASE, type Compression, openPeers } from './_peers.ts';
import { shell, sideBySide } from './_side-by-side.ts';
import type { Bench, Figure } from './_workload.ts';

/** Programs that do the least that each takes. */
const PIPELINES: Readonly<Record<Compression, string>> = {
  uncompressed: 'tar -C "$1" -c . | tee >(sha256sum > /dev/null) > "$2"',
  gzip: 'tar -C "$1" -c . | pigz -p "$(nproc)" | tee >(sha256sum > /dev/null) > "$2"',
  zstd: 'tar -C "$1" -c . | zstd -q -T0 | tee >(sha256sum > /dev/null) > "$2"',
};

export async function exportArchive(bench: Bench): Promise<Figure[]> {
  const peers = await openPeers(bench);
  const figures: Figure[] = [];
  for (const compression of ['gzip', 'zstd', 'uncompressed'] as const) {
    let context = '';
    const file = path.join(bench.directory, 'archive');
    figures.push(
      ...(await sideBySide({
        ...{ name: `export of 300 MB, ${compression}`, peers },
        async prepare(round) {
          // Nobody has this layer packed yet; a first build without an archive makes its files.
          context = bench.context({ Dockerfile: `FROM ${BASE}\nCOPY src /app\n` });
          makeFiles(path.join(context, 'src'), `${compression} ${round}`);
          await shell('head -c 67108864 /dev/urandom > "$1/src/noise"', context);
        },
        floor: {
          name: PIPELINES[compression].replaceAll(/ -C "\$1"|"\$2"/g, '').trim(),
          measure: () => shell(PIPELINES[compression], context, file),
        },
        measure: (peer) => peer.exportArchive(context, compression, file),
      })),
    );
  }
  return figures;
}
