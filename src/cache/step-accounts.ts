/**
 * The latest accounts of each place in a Dockerfile: `cache/accounts/<place>`. Written when a step was made, or found where its place
 * has none; read when a miss is to be told. A cached build asks only whether they are there. Of two processes that write one at once, one wins: a miss is then told a little worse.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { openRecordFiles, type RecordFiles } from './record-files.ts';
import { isStepAccount, type StepAccount } from './step-account.ts';

export interface StepAccounts {
  /** `place`: 64 hex digits. The newest first. */
  of(place: string): readonly StepAccount[];
  has(place: string): boolean;
  add(place: string, account: StepAccount): void;
}

/** Going back and forth between a few states of a file is told well. */
const PER_PLACE = 3;
export const PLACES_MAX = 2000;

/** In the state directory `root`. The oldest are removed where there are too many places. */
export function openStepAccounts(root: string, most = PLACES_MAX): StepAccounts {
  const directory = path.join(root, 'cache', 'accounts');
  let opened: RecordFiles<readonly StepAccount[]> | undefined;
  const records = () => {
    opened ??= openRecordFiles(directory, areStepAccounts);
    return opened;
  };
  let isTidy = false;
  return {
    of: (place) => records().get(place) ?? [],
    // Asked for every step that is found: nothing is opened for it.
    has: (place) => existsSync(path.join(directory, place)),
    add(place, account) {
      const files = records();
      if (!isTidy) removeOldest(directory, most);
      isTidy = true;
      const others = (files.get(place) ?? []).filter(({ key }) => key !== account.key);
      files.set(place, [account, ...others].slice(0, PER_PLACE));
    },
  };
}

function areStepAccounts(value: unknown): value is readonly StepAccount[] {
  return Array.isArray(value) && value.every(isStepAccount);
}

/** A quarter at once, so that it is rare. */
function removeOldest(directory: string, most: number): void {
  const names = readdirSync(directory).filter((name) => /^[a-f0-9]{64}$/.test(name));
  if (names.length <= most) return;
  const aged = names.map((name) => ({ name, at: statSync(path.join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
  aged.sort((a, b) => a.at - b.at);
  for (const { name } of aged.slice(0, names.length - Math.floor(most * 0.75))) rmSync(path.join(directory, name), { force: true });
}
