/** How steps are to be isolated: by the caller's choice, or that of the environment, and never by ours. */
import { TsbuildError } from '../errors.ts';
import { ISOLATIONS, type Isolation } from '../sandbox/chroot-isolation.ts';

export interface IsolationOptions {
  /** `chroot`: a root directory and little more, for containers that may do nothing else. `$TSBUILD_ISOLATION` otherwise; by default `default`. */
  readonly isolation?: Isolation | undefined;
  readonly snapshotter?: string | undefined;
}

/** Throws USAGE for another word, and for an overlay where nothing can be mounted. */
export function chosenIsolation(options: IsolationOptions): Isolation {
  const asked = options.isolation ?? (process.env['TSBUILD_ISOLATION'] || 'default');
  const isolation = ISOLATIONS.find((name) => name === asked);
  if (isolation === undefined) {
    throw new TsbuildError(
      'USAGE',
      `Cannot isolate steps by ${JSON.stringify(asked)}: --isolation (TSBUILD_ISOLATION) is default or chroot`,
    );
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
