/** What `doctor` says about one part of the machine. */
export interface Finding {
  readonly group: 'kernel' | 'steps' | 'control groups' | 'without root' | 'network' | 'platforms' | 'programs' | 'state' | 'surroundings';
  /** Stays the same between versions, for programs. */
  readonly id: string;
  readonly title: string;
  /** `limited`: builds run, but not all of them or not as well. */
  readonly state: 'ok' | 'limited' | 'missing';
  readonly found: string;
  /** What follows from it; where it is not `ok`. */
  readonly means?: string;
  /** What to do, on one line. */
  readonly fix?: string;
}

/** Who asks: what the findings mean depends on it. */
export interface Asker {
  readonly uid: number;
  readonly name: string;
  /** Effective, such as `CAP_SYS_ADMIN`. */
  readonly capabilities: readonly string[];
}

export function isRoot({ uid }: Asker): boolean {
  return uid === 0;
}
