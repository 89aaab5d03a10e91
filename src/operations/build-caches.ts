/** The remote caches of one build: what is read before its steps run, and what is noted for those that are written afterwards. */
import { openUsedMounts, type UsedMounts } from '../builder/execute/used-mounts.ts';
import { openUsedSteps, type UsedSteps } from '../builder/execute/used-steps.ts';
import { TsbuildError } from '../errors.ts';
import { compressionOf } from '../layers/compress.ts';
import { zstdEngine } from '../layers/zstd-engine.ts';
import { parseNewName } from '../oci/reference.ts';
import { shownPlace } from '../remote-cache/cache-place.ts';
import type { CacheImports } from '../remote-cache/import-caches.ts';
import type { Session } from '../session.ts';
import type { BuildOptions } from './build.ts';

export interface BuildCaches extends AsyncDisposable {
  readonly imports: CacheImports | undefined;
  readonly used: UsedSteps | undefined;
  readonly usedMounts: UsedMounts | undefined;
}

/** Asked before anything runs. Throws USAGE, REFERENCE_INVALID. */
export function checkCaches({ cacheTo = [] }: Pick<BuildOptions, 'cacheTo'>): void {
  for (const target of cacheTo) {
    if (target.type === 'registry') parseNewName(target.ref);
    if (target.type === 'inline') continue;
    const { compression = 'gzip', compressionLevel } = target;
    compressionOf(compression, compressionLevel);
    if (compression === 'estargz') throw new TsbuildError('USAGE', `Cannot write the cache ${shownPlace(target)} with estargz`);
    if (compression === 'zstd') zstdEngine('compress');
  }
}

/** Nothing is opened where there are none. */
export async function openBuildCaches(
  session: Session,
  options: Pick<BuildOptions, 'cacheFrom' | 'cacheTo' | 'noCache'>,
): Promise<BuildCaches> {
  const { cacheFrom = [], cacheTo = [] } = options;
  const sources = options.noCache === true ? cacheFrom.filter(({ mounts }) => mounts === true) : cacheFrom;
  let imports: CacheImports | undefined;
  if (sources.length > 0) {
    const { importCaches } = await import('../remote-cache/import-caches.ts');
    imports = await importCaches(session, sources);
  }
  return {
    imports,
    used: cacheTo.length > 0 ? openUsedSteps() : undefined,
    usedMounts: cacheTo.some((target) => 'mounts' in target && target.mounts === true) ? openUsedMounts() : undefined,
    [Symbol.asyncDispose]: async () => await imports?.[Symbol.asyncDispose](),
  };
}
