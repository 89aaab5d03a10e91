/** What one trivial RUN costs, with its container, network, diff and commit: 20 in one Dockerfile. */
import { type Bench, type Figure, median, runDurations } from './_workload.ts';

const STEPS = 20;

export function trivialRun(bench: Bench): Figure[] {
  const runs = Array.from({ length: STEPS }, (_, i) => `RUN echo ${i} > /f${i}`);
  const context = bench.context({ Dockerfile: ['FROM busybox', ...runs].join('\n') });
  const bare = bench.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
  bench.tsbuild(['-t', 'warm:1', bare]);
  const { stderr, wallMs } = bench.tsbuild(['-t', 'runs:1', '--no-cache', '--progress', 'json', context]);
  const one = bench.tsbuild(['-t', 'one:1', '--no-cache', bare]).wallMs;
  return [
    { name: 'trivial RUN, median of 20', value: median(runDurations(stderr)), unit: 'ms', atMost: 15 },
    { name: 'trivial RUN with its share of packing the image', value: (wallMs - one) / (STEPS - 1), unit: 'ms', atMost: 30 },
  ];
}
