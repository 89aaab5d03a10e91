/** ADD of a git repository: its files, known by the commit (rows ADD2 and ADD3 of the language reference). */
import { checksumOf, type GitAddress, parseGitAddress } from '../../context/git-url.ts';
import { TsbuildError } from '../../errors.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { findSources } from './find-sources.ts';
import { gitFiles } from './git-tree.ts';
import type { SourceGroup } from './source-group.ts';
import type { StageRun } from './stage-run.ts';

export interface GitChoices {
  /** Of --checksum. */
  readonly checksum: string | undefined;
  /** Of --keep-git-dir. */
  readonly keepGitDir: boolean;
  /** Patterns of --exclude. */
  readonly exclude: readonly string[];
}

/** The remote is asked once for what the address means now. Throws FETCH_FAILED, DIGEST_MISMATCH, DOCKERFILE_SYNTAX. */
export function gitGroup({ resources, plan }: StageRun, text: string, choices: GitChoices): SourceGroup {
  const address = withChoices(parseGitAddress(text), choices);
  let asking: ReturnType<typeof gitFiles> | undefined;
  const ask = async () => {
    asking ??= gitFiles(resources, address);
    return await asking;
  };
  let tree: (FileTree & Disposable) | undefined;
  return {
    name: 'the git repository',
    async identity() {
      const { identity, material } = await ask();
      resources.materials.add(material, plan);
      return ['git', ...identity, JSON.stringify(choices.exclude)];
    },
    async open() {
      tree ??= await (await ask()).open();
      const selection = { paths: ['.'], layout: 'flat', exclude: choices.exclude, missing: 'error' } as const;
      return { tree, sources: await findSources(tree, selection, () => 'not in the repository') };
    },
    async [Symbol.asyncDispose]() {
      tree?.[Symbol.dispose]();
    },
  };
}

function withChoices(address: GitAddress, { checksum: text, keepGitDir }: GitChoices): GitAddress {
  const checksum = checksumOf(text);
  if (checksum !== undefined && address.checksum !== undefined && checksum !== address.checksum)
    throw new TsbuildError('DOCKERFILE_SYNTAX', 'Cannot use --checksum: the address names another commit');
  return { ...address, checksum: checksum ?? address.checksum, keepGitDir: keepGitDir || address.keepGitDir };
}
