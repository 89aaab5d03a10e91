import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseManifest } from '../../src/oci/choose-manifest.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { ImageIndex } from '../../src/oci/manifest.ts';
import { formatPlatform, parsePlatform } from '../../src/oci/platform.ts';

/** Platforms as written; the raw variant is kept. */
function indexOf(...platforms: string[]): ImageIndex {
  const manifests = platforms.map((text): Descriptor => {
    const [os = '', architecture = '', variant] = text.split('/');
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    return { mediaType: MEDIA_TYPE.manifest, digest: digestOf(text), size: 1, ...(text === '' ? {} : { platform }) };
  });
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests };
}

const CASES: readonly [string, string[], string | undefined][] = [
  ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64', ['linux/amd64/v3'], undefined],
  ['linux/amd64', ['linux/amd64/v1'], 'linux/amd64/v1'],
  ['linux/arm64', ['linux/arm64/v8'], 'linux/arm64/v8'],
  ['linux/arm64/v8', ['linux/arm64'], 'linux/arm64'],
  ['linux/arm', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
  ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
  ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v5'],
  ['linux/arm/v5', ['linux/arm/v7'], undefined],
  ['linux/amd64', ['windows/amd64', 'unknown/unknown'], undefined],
  ['linux/amd64', ['unknown/unknown', 'linux/amd64'], 'linux/amd64'],
  ['linux/amd64', [''], ''],
  ['linux/amd64', ['', ''], undefined],
  ['linux/amd64', [], undefined],
  ['linux/386', ['linux/amd64', 'linux/386'], 'linux/386'],
];
for (const [wanted, there, expected] of CASES) {
  test(`chooseManifest() takes ${expected ?? 'nothing'} for ${wanted} from [${there.join(' ')}]`, () => {
    const select = () => chooseManifest(indexOf(...there), parsePlatform(wanted), 'x');
    if (expected === undefined)
      assert.throws(select, { code: 'ERR_TSBUILD_PLATFORM_NOT_FOUND', message: new RegExp(formatPlatform(parsePlatform(wanted))) });
    else assert.equal(select().digest, digestOf(expected));
  });
}

test('chooseManifest() skips an attestation that names a real platform', () => {
  const [attestation, image] = indexOf('linux/amd64', 'linux/amd64').manifests;
  assert.ok(attestation !== undefined && image !== undefined);
  const annotations = { 'vnd.docker.reference.type': 'attestation-manifest' };
  const marked = { ...attestation, annotations, digest: digestOf('attestation') };
  const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [marked, image] };
  assert.equal(chooseManifest(index, { os: 'linux', architecture: 'amd64' }, 'x').digest, image.digest);
});
