/** 16 and 64 builds that are started at the same time, each with steps of its own, beside the peers. */
import { BASE, openPeers } from './_peers.ts';
import { shell, sideBySide } from './_side-by-side.ts';
import type { Bench, Figure } from './_workload.ts';

export async function buildsAtOnce(bench: Bench): Promise<Figure[]> {
  const peers = await openPeers(bench);
  const figures: Figure[] = [];
  for (const count of [16, 64]) {
    const contexts = Array.from({ length: count }, (_, i) =>
      bench.context({ f: String(i), Dockerfile: `FROM ${BASE}\nCOPY f /f\nRUN cat /f > /g && echo ${count} >> /g\nRUN cat /g > /h\n` }),
    );
    figures.push(
      ...(await sideBySide({
        ...{ name: `${count} builds at once`, peers },
        floor: {
          name: `${count} bare starts of node at once`,
          measure: () => shell(`for _ in $(seq ${count}); do env -u NODE_EXTRA_CA_CERTS ${process.execPath} -e 0 & done; wait`),
        },
        measure: (peer) => peer.buildAll(contexts.map((context, i) => ({ context, cache: 'ignore', tag: `tsbuild-bench-${i}:1` }))),
      })),
    );
  }
  return figures;
}
