/** `--annotation [TYPE[PLATFORM],...:]KEY=VALUE`, as docker reads it. */
import { TsbuildError } from '../errors.ts';
import type { ImageAnnotation } from '../index.ts';
import { parsePlatform } from '../oci/platform.ts';

const TYPE = /^(manifest|index|manifest-descriptor|index-descriptor)(?:\[([A-Za-z0-9_/-]+)\])?$/;

/** `plain`: what a key without a type is on. Throws USAGE. */
export function annotationsOf(words: readonly string[], plain: ImageAnnotation['on'] = 'manifest'): ImageAnnotation[] {
  return words.flatMap((word) => {
    const equals = word.indexOf('=');
    const name = word.slice(0, Math.max(0, equals));
    const colon = name.indexOf(':');
    const key = name.slice(colon + 1);
    if (key === '') throw refused(word, 'not KEY=VALUE');
    return (colon === -1 ? plain : name.slice(0, colon)).split(',').map((type) => {
      const [, on, platform] = TYPE.exec(type) ?? [];
      if (on === undefined) throw refused(word, `${JSON.stringify(type)} is not manifest, index, manifest-descriptor or index-descriptor`);
      const where = platform === undefined ? {} : { platform: parsePlatform(platform) };
      return { on: on as ImageAnnotation['on'], ...where, key, value: word.slice(equals + 1) };
    });
  });
}

function refused(word: string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word.slice(0, 300))} as --annotation: ${reason}`);
}
