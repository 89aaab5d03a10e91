/** How steps are to be isolated: by the caller's choice, or that of the environment, and never by ours. */
import { TsbuildError } from '../errors.ts';
import { ISOLATIONS, type Isolation } from '../sandbox/chroot-isolation.ts';

export interface IsolationOptions {
  /** `chroot`: a root directory and little more, for containers that may do nothing else. `$TSBUILD_ISOLATION` otherwise; by default `default`. */
  readonly isolation?: Isolation | undefined;
  readonly snapshotter?: string | undefined;
  readonly userns?: string | undefined;
}

/** Throws USAGE for another word, and for what takes mounts where there are none. */
export function chosenIsolation(options: IsolationOptions): Isolation {
  const asked = options.isolation ?? (process.env['TSBUILD_ISOLATION'] || 'default');
  const isolation = ISOLATIONS.find((name) => name === asked);
  if (isolation === undefined) {
    throw new TsbuildError(
      'USAGE',
      `Cannot isolate steps by ${JSON.stringify(asked)}: --isolation (TSBUILD_ISOLATION) is default or chroot`,
    );
  }
  const userns = options.userns ?? process.env['TSBUILD_USERNS'];
  if (isolation === 'chroot' && userns === 'auto') {
    throw new TsbuildError('USAGE', 'Cannot map the ids of steps in a chroot: --userns=auto and --isolation=chroot exclude each other');
  }
  const snapshotter = options.snapshotter ?? process.env['TSBUILD_SNAPSHOTTER'];
  if (isolation === 'chroot' && snapshotter === 'overlay') {
    throw new TsbuildError(
      'USAGE',
      'Cannot mount an overlay for steps in a chroot: --snapshotter=overlay and --isolation=chroot exclude each other',
    );
  }
  return isolation;
}
