/** Whether a snapshot is there with all that it stands on: what a disk or somebody else has taken may lie anywhere below. */
import type { Snapshot } from './snapshot-info.ts';

/** Each snapshot is looked at once: a thousand steps on each other ask a thousand times. */
export function wholeChains(get: (name: string) => Snapshot | undefined): (name: string) => boolean {
  const whole = new Set<string>();
  return (name) => {
    const seen: string[] = [];
    for (let at: string | undefined = name; at !== undefined; ) {
      const snapshot = get(at);
      if (snapshot === undefined) return false;
      if (whole.has(snapshot.id)) break;
      seen.push(snapshot.id);
      at = snapshot.parent;
    }
    for (const id of seen) whole.add(id);
    return true;
  };
}
