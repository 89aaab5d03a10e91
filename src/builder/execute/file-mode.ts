/** `--chmod`: a mode in digits, or a change of modes as chmod(1) has it (4.4BSD setmode(3), umask 0, which Docker follows). */
import { TsbuildError } from '../../errors.ts';
import type { FileNode } from '../../tree/file-tree.ts';

/** A number is the mode of every file and directory; a function gives that of one from the one it has. */
export type FileMode = number | ((node: FileNode) => number);

interface Clause {
  readonly who: number;
  readonly actions: readonly Action[];
}

interface Action {
  readonly operator: string;
  readonly permissions: string;
}

const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/;
const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000 };
const STICKY = 0o1000;
const EVERYONE = 0o6777;

/** undefined for no flag. Throws DOCKERFILE_SYNTAX. */
export function parseFileMode(text: string): FileMode | undefined {
  if (text === '') return undefined;
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  const clauses = text.split(',').map((part) => parseClause(text, part));
  return (node) => clauses.reduce((mode, clause) => applyClause(mode, clause, node), node.mode);
}

function parseClause(text: string, part: string): Clause {
  const [, who = '', actions = ''] = CLAUSE.exec(part) ?? [];
  if (actions === '') {
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use --chmod=${text.slice(0, 100)}: it is no mode`, {
      hint: 'Write up to four octal digits, such as 0644, or a change such as u=rwX,go=rX.',
    });
  }
  const found = actions.matchAll(/([-+=])([^-+=]*)/g);
  return {
    who: [...who].reduce((bits, each) => bits | (WHO[each] ?? 0), 0),
    actions: [...found].map(([, operator = '', permissions = '']) => ({ operator, permissions })),
  };
}

function applyClause(before: number, { who, actions }: Clause, node: FileNode): number {
  let mode = before;
  for (const { operator, permissions } of actions) {
    const bits = bitsOf(permissions, { mode, who, node }) & ((who === 0 ? EVERYONE : who) | stickyMask(who));
    if (operator === '+') mode |= bits;
    else if (operator === '-') mode &= ~bits;
    else mode = (mode & ~(who === 0 ? EVERYONE : who)) | bits;
  }
  return mode;
}

/** The sticky bit is for anybody but `o` alone. */
function stickyMask(who: number): number {
  return who === 0 || (who & ~0o7) !== 0 ? STICKY : 0;
}

function bitsOf(permissions: string, { mode, who, node }: { mode: number; who: number; node: FileNode }): number {
  let bits = 0;
  for (const each of permissions) {
    if (each === 'u') bits |= ((mode >> 6) & 0o7) * 0o111;
    else if (each === 'g') bits |= ((mode >> 3) & 0o7) * 0o111;
    else if (each === 'o') bits |= (mode & 0o7) * 0o111;
    else if (each === 'X') bits |= node.type === 'directory' || (mode & 0o111) !== 0 ? 0o111 : 0;
    else if (each === 't') bits |= STICKY;
    else if (each !== 's' || stickyMask(who) !== 0) bits |= BITS[each] ?? 0;
  }
  return bits;
}
