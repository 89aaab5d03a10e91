/** Names of stacks of layers. Source: OCI image-spec config.md "Layer ChainID". */
import { type Digest, digestOf } from '../oci/digest.ts';

/** The chainID of each stack that `diffIds` builds, bottom first: the last one names the whole. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
