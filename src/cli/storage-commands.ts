/** `du` and `prune`: what takes space, and its removal. */
import type { CommandSpec, FlagSpec } from './command-table.ts';

export interface StorageFlags {
  readonly filter?: readonly string[];
  readonly verbose?: boolean;
  readonly keepStorage?: string;
  readonly maxAge?: string;
  readonly olderThan?: string;
  readonly dryRun?: boolean;
}

const FILTER: FlagSpec = {
  flags: '--filter <key=value>',
  description: 'only what is so: type, id, description, until (unused for that long), shared or inuse; several with commas',
  kind: 'repeatable',
};

export function storageCommands(root: FlagSpec): CommandSpec[] {
  return [
    {
      ...{ name: 'du', summary: 'tell what takes space in the state directory, and what of it can go', operands: '' },
      flags: [
        FILTER,
        { flags: '--verbose', description: 'all that is known of each entry' },
        { flags: '--format <format>', description: 'how to tell it', choices: ['table', 'json'] },
        root,
      ],
      load: () => import('./commands/du.ts'),
    },
    {
      ...{ name: 'prune', summary: 'remove what no image needs and nobody uses: results of steps, caches, downloads', operands: '' },
      flags: [
        { flags: '-a, --all', description: 'also what named images have, too: unpacked layers, and the steps that made them' },
        FILTER,
        {
          flags: '--keep-storage <bytes>',
          description: 'stop when the cache has no more than this, such as 10GB; the least recently used goes first',
        },
        { flags: '--max-age <time>', description: 'only what was not used for this time, such as 48h' },
        { flags: '--older-than <time>', description: 'the same as --max-age' },
        { flags: '-f, --force', description: 'do not ask' },
        { flags: '--dry-run', description: 'say what would go, and remove nothing' },
        { flags: '--format <format>', description: 'how to tell it', choices: ['table', 'json'] },
        root,
      ],
      load: () => import('./commands/prune.ts'),
    },
  ];
}
