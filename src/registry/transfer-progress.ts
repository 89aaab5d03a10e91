/** How far a blob has come, said at most ten times a second. */

import { milliseconds } from '../clock.ts';
import type { Digest } from '../oci/digest.ts';

export interface TransferProgress {
  readonly id: Digest;
  readonly bytes: number;
  readonly total: number;
  readonly direction: 'pull' | 'push';
}

export type OnProgress = (progress: TransferProgress) => void;

const INTERVAL_MS = 100;

/** Give it each state: it passes on the first, the last (bytes = total), and one per interval between. */
export function throttleProgress(onProgress: OnProgress | undefined): OnProgress {
  if (onProgress === undefined) return () => {};
  let next = 0;
  return (progress) => {
    const now = milliseconds();
    if (now < next && progress.bytes < progress.total) return;
    next = now + INTERVAL_MS;
    onProgress(progress);
  };
}
