/**
 * Names of a directory in byte order. Up to some thousand are an array; of more, sorted runs are packed outside the heap and merged
 * while they are read (external merge sort), so that a directory of a million files takes tens of megabytes, not hundreds.
 */
import type { ByteString } from '../tree/byte-string.ts';

/** In byte order, to be read as often as wanted. */
export interface SortedNames extends Iterable<ByteString> {
  readonly length: number;
}

const RUN_NAMES = 1 << 14;
/** Ends a name: none has it. */
const NUL = '\0';

export class NameSorter {
  readonly #runNames: number;
  readonly #runs: Buffer[] = [];
  #run: ByteString[] = [];
  #count = 0;

  /** `runNames`: how many are sorted at once. */
  constructor(runNames = RUN_NAMES) {
    this.#runNames = runNames;
  }

  add(name: ByteString): void {
    this.#run.push(name);
    this.#count++;
    if (this.#run.length >= this.#runNames) this.#pack();
  }

  /** All that were added; nothing may be added then. */
  sorted(): SortedNames {
    if (this.#runs.length === 0) return this.#run.sort();
    this.#pack();
    const runs = this.#runs;
    return { length: this.#count, [Symbol.iterator]: () => merged(runs) };
  }

  #pack(): void {
    if (this.#run.length > 0) this.#runs.push(Buffer.from(this.#run.sort().join(NUL) + NUL, 'latin1'));
    this.#run = [];
  }
}

/** The next name of a run, and where the one after it begins. */
interface Head {
  readonly run: Buffer;
  name: ByteString;
  at: number;
}

function* merged(runs: readonly Buffer[]): Generator<ByteString, void, undefined> {
  const heads: Head[] = [];
  const place = (head: Head): void => {
    if (advance(head)) heads.splice(placeOf(heads, head.name), 0, head);
  };
  for (const run of runs) place({ run, name: '' as ByteString, at: 0 });
  // The smallest is last: taking it moves no other.
  for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
    yield head.name;
    place(head);
  }
}

function advance(head: Head): boolean {
  if (head.at === head.run.length) return false;
  const end = head.run.indexOf(0, head.at);
  head.name = head.run.toString('latin1', head.at, end) as ByteString;
  head.at = end + 1;
  return true;
}

/** In a list that falls. */
function placeOf(heads: readonly Head[], name: ByteString): number {
  let [low, high] = [0, heads.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((heads[middle] as Head).name > name) low = middle + 1;
    else high = middle;
  }
  return low;
}
