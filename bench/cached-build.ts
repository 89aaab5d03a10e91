/** A fully cached build of 20 steps, as a cold start of the command line. */
import { type Bench, type Figure, median } from './_workload.ts';

export function cachedBuild(bench: Bench): Figure[] {
  const steps = Array.from({ length: 10 }, (_, i) => `COPY f${i} /f${i}\nRUN echo ${i} > /r${i}`);
  const files = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`f${i}`, String(i)]));
  const context = bench.context({ ...files, Dockerfile: ['FROM busybox', ...steps].join('\n') });
  bench.tsbuild(['-t', 'cached:1', context]);
  const walls = Array.from({ length: 10 }, () => bench.tsbuild(['-t', 'cached:1', context]).wallMs);
  return [{ name: 'fully cached build of 20 steps, wall', value: median(walls), unit: 'ms', atMost: 200 }];
}
