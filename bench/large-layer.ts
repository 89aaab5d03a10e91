/** Peak memory and time of a build that makes a layer of 1 GiB. */
import { measuredBuild } from './_measured-build.ts';
import type { Bench, Figure } from './_workload.ts';

export function largeLayer(bench: Bench): Figure[] {
  const context = bench.context({
    Dockerfile: 'FROM busybox\nRUN dd if=/dev/zero of=/zeros bs=1M count=768 && dd if=/dev/urandom of=/noise bs=1M count=256\n',
  });
  const { mebibytes, seconds } = measuredBuild(bench, ['-t', 'large:1', context]);
  return [
    { name: '1 GiB layer, peak memory', value: mebibytes, unit: 'MiB', atMost: 200 },
    { name: '1 GiB layer, wall', value: seconds, unit: 's' },
  ];
}
