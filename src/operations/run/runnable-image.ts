/** The image of a `run`: this machine's, or one that an emulator can run. */
import type { Image } from '../../images/image.ts';
import { normalizePlatform, type Platform, parsePlatform } from '../../oci/platform.ts';
import { needRunnable } from '../../sandbox/runnable-architectures.ts';
import type { Session } from '../../session.ts';
import { openBaseImages } from '../base-image.ts';
import { storedImage } from '../images.ts';
import type { RunOptions } from './run-options.ts';

/** Throws EMULATOR_MISSING before a layer is fetched. */
export async function runnableImage(
  session: Session,
  { name, pull = 'missing', platform: asked }: Pick<RunOptions, 'name' | 'pull' | 'platform'>,
): Promise<Image> {
  const platform = asked === undefined ? session.platform : parsePlatform(asked);
  if (pull === 'never') storedImage(session, name);
  const bases = openBaseImages(session, pull === 'always' ? 'registry' : 'store');
  const { config } = await bases.resolve(name, platform);
  if (!isForMachine(config, session.platform)) needRunnable(normalizePlatform(config), session.platform);
  return await bases.load(name, platform, 'files');
}

function isForMachine(found: Platform, machine: Platform): boolean {
  return found.os === machine.os && normalizePlatform(found).architecture === machine.architecture;
}
