/** `tsbuild builds`: what is remembered of builds. */
import type { CommandSpec, FlagSpec } from './command-table.ts';

export interface BuildsFlags {
  readonly step?: string;
  readonly undo?: boolean;
}

export function buildsCommands(root: FlagSpec): readonly CommandSpec[] {
  const format: FlagSpec = { flags: '--format <format>', description: 'how to show it', choices: ['table', 'json'] };
  return [
    {
      ...{ name: 'builds ls', summary: 'list the builds that are remembered, the latest first', operands: '' },
      flags: [format, { flags: '-q, --quiet', description: 'show ids only' }, root],
      load: () => import('./commands/builds-ls.ts'),
    },
    {
      ...{ name: 'builds inspect', summary: 'show the steps of a build: times, cache hits, why others missed', operands: '[id]' },
      flags: [format, root],
      load: () => import('./commands/builds-inspect.ts'),
    },
    {
      ...{ name: 'builds logs', summary: 'show what the steps of a build wrote', operands: '[id]' },
      flags: [{ flags: '--step <step>', description: 'of this step alone: its number in `builds inspect`, or stage/number' }, root],
      load: () => import('./commands/builds-logs.ts'),
    },
    {
      ...{ name: 'builds open', summary: 'make a page of a build: timeline, stages, logs, layers and what is wasted in them' },
      ...{ operands: '[id]' },
      flags: [{ flags: '-o, --output <file>', description: 'where to (default: beside the record)' }, root],
      load: () => import('./commands/builds-open.ts'),
    },
    {
      ...{ name: 'builds rm', summary: 'forget builds', operands: '[id...]' },
      flags: [{ flags: '-a, --all', description: 'all that are not pinned and do not run' }, root],
      load: () => import('./commands/builds-rm.ts'),
    },
    {
      ...{ name: 'builds pin', summary: 'keep records of builds until they are removed', operands: '<id...>' },
      flags: [{ flags: '--undo', description: 'keep them no longer than others' }, root],
      load: () => import('./commands/builds-pin.ts'),
    },
  ];
}
