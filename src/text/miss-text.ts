/** The words for why a step missed. */
import { unreachable } from '../errors.ts';
import type { FileDifference, MissReason } from '../events.ts';
import { plainText } from './terminal-text.ts';

/** On one line, without control characters: `src/a.ts changed, 3 more`. */
export function missText(reasons: readonly MissReason[]): string {
  return plainText(reasons.map(reasonText).join(', '));
}

function reasonText(reason: MissReason): string {
  switch (reason.kind) {
    case 'no-cache':
      return 'the cache is not used';
    case 'first':
      return 'never built here before';
    case 'lost':
      return 'its result is gone';
    case 'parent':
      return `what it starts from is new: ${reason.name}`;
    case 'base':
      return `${reason.name} is ${reason.after.slice(0, 19)}${reason.before === undefined ? '' : `, was ${reason.before.slice(0, 19)}`}`;
    case 'file':
      return `${reason.path} ${FILES[reason.change]}`;
    case 'variable':
      return `${reason.name} ${reason.change}${valuesText(reason)}`;
    case 'ingredient':
      return `${reason.name} changed`;
    case 'more':
      return `${reason.count} more`;
    default:
      return unreachable(reason);
  }
}

const FILES: Readonly<Record<FileDifference, string>> = {
  ...{ added: 'added', removed: 'removed', content: 'changed', 'type or mode': 'has another type or mode' },
  ...{ owner: 'has another owner', attributes: 'has other attributes' },
};

function valuesText({ before, after }: { readonly before?: string; readonly after?: string }): string {
  if (before === undefined && after === undefined) return '';
  if (before === undefined) return ` (${JSON.stringify(after)})`;
  return after === undefined ? ` (was ${JSON.stringify(before)})` : ` (${JSON.stringify(before)} → ${JSON.stringify(after)})`;
}
