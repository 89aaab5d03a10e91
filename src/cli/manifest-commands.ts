/** `tsbuild manifest`: indexes and what is in them, with flags as docker buildx imagetools has them. */
import type { CommandSpec, FlagSpec } from './command-table.ts';

export interface ManifestFlags {
  readonly append?: boolean;
  readonly dryRun?: boolean;
  readonly raw?: boolean;
  readonly remote?: boolean;
  readonly referrers?: boolean;
  readonly artifactType?: string;
}

export function manifestCommands(root: FlagSpec, progress: readonly FlagSpec[]): readonly CommandSpec[] {
  return [
    {
      ...{ name: 'manifest create', summary: 'make an index of images of the store and of registries', operands: '[name] [source...]' },
      flags: [
        { flags: '-t, --tag <name>', description: 'name of the index; then all operands are sources', kind: 'repeatable' },
        {
          flags: '-f, --file <path>',
          description: 'read a source from a file: a name, a digest, or a descriptor as JSON',
          kind: 'repeatable',
        },
        { flags: '--append', description: 'add to the index that the name is now' },
        { flags: '--platform <list>', description: 'take only these platforms of the sources', kind: 'repeatable' },
        {
          flags: '--annotation <key=value>',
          description: 'annotate the index; before the key: index or manifest-descriptor with [PLATFORM], and a colon',
          kind: 'repeatable',
        },
        { flags: '--dry-run', description: 'show the index, and name nothing' },
        ...progress,
      ],
      load: () => import('./commands/manifest-create.ts'),
    },
    {
      ...{ name: 'manifest inspect', summary: 'show what an image or index of the store or of a registry is made of', operands: '<name>' },
      flags: [
        { flags: '--raw', description: 'the document itself, byte for byte' },
        { flags: '--format <format>', description: 'how to show it', choices: ['table', 'json'] },
        { flags: '--remote', description: 'ask the registry, whatever the store has' },
        { flags: '--referrers', description: 'also what refers to it in its registry: signatures, attestations' },
        { flags: '--artifact-type <type>', description: 'only referrers of this type' },
        root,
      ],
      load: () => import('./commands/manifest-inspect.ts'),
    },
    {
      ...{ name: 'manifest push', summary: 'send an index and all that it refers to, wherever that is, to a registry' },
      ...{ operands: '<name> [destination]', flags: progress },
      load: () => import('./commands/manifest-push.ts'),
    },
  ];
}
