/** Why a step missed: how it differs from the nearest of those made at its place before. Pure. */
import type { FileDifference, MissReason } from '../events.ts';
import { FILES_MAX, type FileLine, type StepAccount } from './step-account.ts';

const FILES_TOLD = 5;
const REASONS_MAX = 12;

/** `parent`: what the step starts from as it is shown, and whether that was made in this build. */
export interface StandsOn {
  readonly name: string;
  readonly isNew: boolean;
}

/** At least one reason. */
export function explainMiss(account: StepAccount, earlier: readonly StepAccount[], parent: StandsOn): readonly MissReason[] {
  if (earlier.length === 0) return [...(parent.isNew ? [{ kind: 'parent' as const, name: parent.name }] : []), { kind: 'first' }];
  if (earlier.some(({ key }) => key === account.key)) return [{ kind: 'lost' }];
  const all = earlier.map((other) => differences(other, account, parent));
  const nearest = all.reduce((best, reasons) => (weight(reasons) < weight(best) ? reasons : best));
  return nearest.length === 0 ? [{ kind: 'first' }] : shortened(nearest);
}

function weight(reasons: readonly MissReason[]): number {
  return reasons.reduce((sum, reason) => sum + (reason.kind === 'more' ? reason.count : 1), 0);
}

function shortened(reasons: readonly MissReason[]): readonly MissReason[] {
  if (reasons.length <= REASONS_MAX) return reasons;
  return [...reasons.slice(0, REASONS_MAX - 1), { kind: 'more', count: reasons.length - REASONS_MAX + 1 }];
}

function differences(before: StepAccount, after: StepAccount, parent: StandsOn): MissReason[] {
  const files = fileReasons(before.files ?? [], after.files ?? []);
  // The digest of the whole says no more than the files do.
  const parts = partReasons(before, after).filter((reason) => files.length === 0 || !isContextPart(reason));
  return [...parentReasons(before, after, parent), ...parts, ...variableReasons(before, after), ...files];
}

function parentReasons(before: StepAccount, after: StepAccount, parent: StandsOn): MissReason[] {
  if (before.parent.key === after.parent.key) return [];
  if (after.parent.base === null || parent.isNew) return [{ kind: 'parent', name: parent.name }];
  return [{ kind: 'base', name: parent.name, before: before.parent.base ?? undefined, after: after.parent.base }];
}

/** Part of an account that stands for the files of a build context together. */
export const CONTEXT_PART = 'files of ';

function isContextPart(reason: MissReason): boolean {
  return reason.kind === 'ingredient' && reason.name.startsWith(CONTEXT_PART);
}

function partReasons(before: StepAccount, after: StepAccount): MissReason[] {
  const [old, now] = [new Map(before.parts), new Map(after.parts)];
  const names = new Set([...now.keys(), ...old.keys()]);
  return [...names].filter((name) => old.get(name) !== now.get(name)).map((name) => ({ kind: 'ingredient', name }));
}

function variableReasons(before: StepAccount, after: StepAccount): MissReason[] {
  const table = ({ variables }: StepAccount) => new Map(variables.map(([name, digest, shown]) => [name, { digest, shown }]));
  const [old, now] = [table(before), table(after)];
  const reasons: MissReason[] = [];
  for (const name of new Set([...now.keys(), ...old.keys()])) {
    const [was, is] = [old.get(name), now.get(name)];
    if (was?.digest === is?.digest) continue;
    const values = { ...(was?.shown == null ? {} : { before: was.shown }), ...(is?.shown == null ? {} : { after: is.shown }) };
    reasons.push({ kind: 'variable', name, change: was === undefined ? 'added' : is === undefined ? 'removed' : 'changed', ...values });
  }
  return reasons;
}

/** Where a list was cut, only paths that both have are compared: what else is there is not known. */
function fileReasons(before: readonly FileLine[], after: readonly FileLine[]): MissReason[] {
  const [old, now] = [byPath(before), byPath(after)];
  const isWhole = before.length < FILES_MAX && after.length < FILES_MAX;
  const reasons: MissReason[] = [];
  for (const [path, line] of now) {
    const was = old.get(path);
    const change = was === undefined ? (isWhole ? 'added' : undefined) : differenceOf(was, line);
    if (change !== undefined) reasons.push({ kind: 'file', path, change });
  }
  if (isWhole) for (const path of old.keys()) if (!now.has(path)) reasons.push({ kind: 'file', path, change: 'removed' });
  if (reasons.length <= FILES_TOLD) return reasons;
  return [...reasons.slice(0, FILES_TOLD), { kind: 'more', count: reasons.length - FILES_TOLD }];
}

function byPath(lines: readonly FileLine[]): Map<string, FileLine> {
  return new Map(lines.map((line) => [line[0], line]));
}

function differenceOf(before: FileLine, after: FileLine): FileDifference | undefined {
  if (before[3] !== after[3]) return 'content';
  if (before[1] !== after[1]) return 'type or mode';
  if (before[2] !== after[2]) return 'owner';
  return before[4] === after[4] ? undefined : 'attributes';
}
