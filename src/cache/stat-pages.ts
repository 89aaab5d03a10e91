/**
 * The pages of a stat index: a few thousand entries each, sorted by file, one record each. In memory are those at work
 * alone, so that a context of a million files takes no more of it than one of ten thousand.
 */
import { createHash } from 'node:crypto';
import type { RecordFiles } from './record-files.ts';

/** What is known of one file; a stamp is compared as text. */
export type StatEntry = readonly [file: string, stamp: string, digest: string];

/** Of a page: its first and last file, and the key of its record. A list of them is a record like a page. */
export type PageRow = readonly [first: string, last: string, key: string];

/** Entries of a full page. */
export const PAGE_SIZE = 5000;

/** Several steps may read one context at the same time, each at another place. */
const IN_MEMORY = 8;

interface Page {
  readonly row: PageRow;
  /** The last file of this page and of all before it. */
  reach: string;
  /** A mark for each entry; undefined where none was asked for. */
  used?: Uint8Array;
}

/** What is found is a fact, whichever page says it: a file with this stamp has this digest. */
export class StatPages {
  readonly #records: RecordFiles<readonly StatEntry[]>;
  readonly #directory: string;
  readonly #loaded = new Map<string, readonly StatEntry[]>();
  #pages: Page[];
  /** A walk mostly stays on one page. */
  #recent: Page | undefined;

  /** `rows` as `rows()` returned them. A page whose record is gone or broken has no entries. */
  constructor(records: RecordFiles<readonly StatEntry[]>, directory: string, rows: readonly PageRow[]) {
    this.#records = records;
    this.#directory = directory;
    this.#pages = inOrder(rows.map((row) => ({ row, reach: '' })));
  }

  /** Marks it as used. */
  find(file: string, stamp: string): StatEntry | undefined {
    const found = this.#recent && holds(this.#recent, file) ? this.#findIn(this.#recent, file, stamp) : undefined;
    if (found !== undefined) return found;
    for (let at = lastFrom(this.#pages, ({ row }) => row[0], file); (this.#pages[at]?.reach ?? '') >= file && at >= 0; at--) {
      const page = this.#pages[at] as Page;
      const entry = page === this.#recent || !holds(page, file) ? undefined : this.#findIn(page, file, stamp);
      if (entry === undefined) continue;
      this.#recent = page;
      return entry;
    }
    return undefined;
  }

  /** A page of its own for entries of different files, all of them used. */
  add(entries: readonly StatEntry[]): void {
    const sorted = [...entries].sort(([one], [other]) => (one < other ? -1 : 1));
    const key = createHash('sha256').update(this.#directory).update(JSON.stringify(sorted)).digest('hex');
    if (this.#records.get(key) === undefined) this.#records.set(key, sorted);
    const row = [sorted[0]?.[0] ?? '', sorted.at(-1)?.[0] ?? '', key] as const;
    const others = this.#pages.filter((page) => page.row[2] !== key);
    this.#pages = inOrder([...others, { row, reach: '', used: new Uint8Array(sorted.length).fill(1) }]);
    this.#keep(key, sorted);
  }

  /** Takes out the pages that are small or not used as a whole, and returns what of them was used. */
  *takeUnfit(): Generator<StatEntry> {
    const isFit = ({ used }: Page) => used !== undefined && used.length >= PAGE_SIZE / 2 && !used.includes(0);
    const unfit = this.#pages.filter((page) => !isFit(page));
    this.#pages = inOrder(this.#pages.filter(isFit));
    for (const page of unfit) if (page.used !== undefined) yield* this.#entries(page).filter((_, at) => page.used?.[at] === 1);
  }

  /** Keys of the pages that were used. */
  used(): string[] {
    return this.#pages.filter(({ used }) => used !== undefined).map(({ row: [, , key] }) => key);
  }

  rows(): PageRow[] {
    return this.#pages.map(({ row }) => row);
  }

  #findIn(page: Page, file: string, stamp: string): StatEntry | undefined {
    const entries = this.#entries(page);
    const at = lastFrom(entries, ([name]) => name, file);
    const entry = entries[at];
    if (entry?.[0] !== file || entry[1] !== stamp) return undefined;
    page.used ??= new Uint8Array(entries.length);
    page.used[at] = 1;
    return entry;
  }

  #entries({ row: [, , key] }: Page): readonly StatEntry[] {
    const entries = this.#loaded.get(key) ?? this.#records.get(key) ?? [];
    this.#loaded.delete(key);
    this.#keep(key, entries);
    return entries;
  }

  #keep(key: string, entries: readonly StatEntry[]): void {
    this.#loaded.set(key, entries);
    const [oldest] = this.#loaded.keys();
    if (this.#loaded.size > IN_MEMORY && oldest !== undefined) this.#loaded.delete(oldest);
  }
}

function holds({ row: [first, last] }: Page, file: string): boolean {
  return first <= file && file <= last;
}

function inOrder(pages: Page[]): Page[] {
  pages.sort(({ row: [one] }, { row: [other] }) => (one < other ? -1 : 1));
  let reach = '';
  for (const page of pages) {
    if (page.row[1] > reach) reach = page.row[1];
    page.reach = reach;
  }
  return pages;
}

/** Where in a sorted list the last one is that begins at `file` or before it; -1 for none. */
function lastFrom<T>(list: readonly T[], firstOf: (item: T) => string, file: string): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (firstOf(list[middle] as T) <= file) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
