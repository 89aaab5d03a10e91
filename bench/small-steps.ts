/** Builds of small steps beside the peers: nothing to do, 20 trivial RUNs, 8 stages that do not depend on each other. */
import { BASE, openPeers } from './_peers.ts';
import { nodeStarts, shell, sideBySide } from './_side-by-side.ts';
import type { Bench, Figure } from './_workload.ts';

const STEPS = 20;
const STAGES = 8;

export async function smallSteps(bench: Bench): Promise<Figure[]> {
  const peers = await openPeers(bench);
  const dockerfile = (lines: readonly string[]) => `${lines.join('\n')}\n`;
  const halves = Array.from({ length: STEPS / 2 }, (_, i) => i);
  const cached = bench.context({
    ...Object.fromEntries(halves.map((i) => [`f${i}`, String(i)])),
    Dockerfile: dockerfile([`FROM ${BASE}`, ...halves.map((i) => `COPY f${i} /f${i}\nRUN echo ${i} > /r${i}`)]),
  });
  const runs = bench.context({
    Dockerfile: dockerfile([`FROM ${BASE}`, ...Array.from({ length: STEPS }, (_, i) => `RUN echo ${i} > /f${i}`)]),
  });
  const stages = Array.from({ length: STAGES }, (_, i) => i);
  const independent = bench.context({
    Dockerfile: dockerfile([
      ...stages.map((i) => `FROM ${BASE} AS s${i}\nRUN i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ${i} > /out`),
      'FROM scratch',
      ...stages.map((i) => `COPY --from=s${i} /out /out${i}`),
    ]),
  });
  for (const peer of peers) await peer.build({ context: cached });
  return [
    ...(await sideBySide({
      ...{ name: 'no-op rebuild of 20 steps', peers, rounds: 7, atMostFloors: 3 },
      floor: { name: 'a bare start of node', measure: () => nodeStarts(1) },
      measure: (peer) => peer.build({ context: cached }),
    })),
    ...(await sideBySide({
      ...{ name: `${STEPS} trivial RUNs`, peers },
      floor: {
        name: 'unshare and a shell for each',
        measure: () => shell(`for i in $(seq ${STEPS}); do unshare -m -p -f -n sh -c "echo $i > /dev/null"; done`),
      },
      measure: (peer) => peer.build({ context: runs, cache: 'ignore' }),
    })),
    ...(await sideBySide({
      ...{ name: `${STAGES} independent stages`, peers },
      floor: {
        name: 'their commands, two at once',
        measure: () => shell(`seq ${STAGES} | xargs -P "$(nproc)" -I{} busybox sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'`),
      },
      measure: (peer) => peer.build({ context: independent, cache: 'ignore' }),
    })),
  ];
}
