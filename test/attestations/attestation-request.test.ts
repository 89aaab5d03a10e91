import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attestationsOf, metadataProvenance } from '../../src/cli/attestation-flags.ts';

const provenance = (value: string) => attestationsOf({ provenance: [value] }).provenance;

test('parseAttestation() reads modes, versions and choices of provenance as docker writes them', () => {
  assert.equal(provenance('true')?.mode, 'max');
  assert.equal(provenance('false'), undefined);
  assert.equal(provenance('mode=min')?.mode, 'min');
  const all = provenance('mode=max,version=v1,"builder-id=https://ci/?a,b",reproducible=true,inline-only=1,filename=p.json');
  assert.deepEqual(all, {
    ...{ mode: 'max', version: 'v1', builderId: 'https://ci/?a,b', reproducible: true, inlineOnly: true, fileName: 'p.json' },
  });
  assert.deepEqual(attestationsOf({ attest: ['type=provenance,mode=min', 'type=sbom'], provenance: ['false'] }), {
    ...{ provenance: undefined, sbom: { inlineOnly: undefined } },
  });
});

test('parseAttestation() refuses what it does not know', () => {
  for (const [text, code, message] of [
    ['type=provenance,mode=mix', 'USAGE', /not one of min, max/],
    ['type=provenance,modes=min', 'USAGE', /did you mean mode\?/],
    ['type=provenance,version=v2', 'USAGE', /not one of v0\.2, v1/],
    ['type=provenance,filename=../x', 'USAGE', /no name of a file/],
    ['type=provenance,reproducible=perhaps', 'USAGE', /neither true nor false/],
    ['type=vuln', 'USAGE', /Types are provenance and sbom|the type "vuln"/],
    ['mode=min', 'USAGE', /the type ""/],
    ['type=sbom,generator=docker/buildkit-syft-scanner', 'UNSUPPORTED', /generator/],
  ] as const) {
    assert.throws(() => attestationsOf({ attest: [text] }), { code: `ERR_TSBUILD_${code}`, message }, text);
  }
  assert.throws(() => metadataProvenance({ BUILDX_METADATA_PROVENANCE: 'all' }), { code: 'ERR_TSBUILD_USAGE' });
  assert.equal(metadataProvenance({ BUILDX_METADATA_PROVENANCE: 'disabled' }), undefined);
  assert.equal(metadataProvenance({}), 'min');
});
