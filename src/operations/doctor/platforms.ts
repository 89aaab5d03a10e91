/** Which architectures' programs can run: kernel's admin-guide/binfmt-misc.rst. */
import { existsSync } from 'node:fs';
import { platformOf } from '../../oci/platform.ts';
import { type Emulator, emulatorsIn, runnableArchitectures } from '../../sandbox/runnable-architectures.ts';
import type { Finding } from './finding.ts';

export interface PlatformFacts {
  readonly runnable: readonly string[];
  readonly emulators: readonly Emulator[];
  readonly mounted: boolean;
}

const BINFMT = '/proc/sys/fs/binfmt_misc';

export function readPlatformFacts(): PlatformFacts {
  return {
    runnable: runnableArchitectures(platformOf(process.arch)),
    emulators: emulatorsIn(BINFMT),
    mounted: existsSync(`${BINFMT}/status`),
  };
}

export function platformFindings({ runnable, emulators, mounted }: PlatformFacts): Finding[] {
  const about = { group: 'platforms', id: 'platforms.runnable', title: 'architectures' } as const;
  const problems = emulators.flatMap(({ problem }) => problem ?? []);
  const found = runnable.join(', ');
  if (problems.length > 0) {
    const [problem] = problems;
    return [
      {
        ...about,
        state: 'limited',
        found: `${found}; ${problem}`,
        means: 'RUN for it fails',
        fix: 'apt-get install qemu-user-static binfmt-support',
      },
    ];
  }
  if (emulators.length > 0) return [{ ...about, state: 'ok', found }];
  return [
    {
      ...about,
      state: 'limited',
      found: `${found}; ${mounted ? 'no emulators are registered' : 'binfmt_misc is not mounted'}`,
      means: 'RUN works for these alone; everything else of a build works for all',
      fix: 'apt-get install qemu-user-static binfmt-support',
    },
  ];
}
