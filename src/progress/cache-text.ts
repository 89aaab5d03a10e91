import type { CacheEvent } from '../events.ts';
import { formatSize } from '../text/quantities.ts';
import { plainText } from '../text/terminal-text.ts';

/** One line about a remote cache. */
export function cacheText({ action, name, steps, mounts, bytes }: CacheEvent): string {
  if (action === 'missing') return `no cache at ${plainText(name)} yet`;
  const what = `${steps} ${steps === 1 ? 'step' : 'steps'}${mounts === 0 ? '' : `, ${mounts} ${mounts === 1 ? 'mount' : 'mounts'}`}`;
  return `${action} cache ${plainText(name)} (${what}, ${formatSize(bytes)})`;
}
