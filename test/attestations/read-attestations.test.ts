import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putAttestations } from '../../src/attestations/attestation-manifest.ts';
import { readAttestations } from '../../src/attestations/read-attestations.ts';
import { PREDICATE_TYPE, type Predicate, statementBytes } from '../../src/attestations/statement.ts';
import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf, hexOf } from '../../src/oci/digest.ts';
import { parseManifestDocument } from '../../src/oci/parse-manifest.ts';
import { temporaryStore } from '../store/_store.ts';

const IMAGE: Descriptor = {
  ...{ mediaType: MEDIA_TYPE.manifest, digest: digestOf(Buffer.from('image')), size: 5 },
  platform: { os: 'linux', architecture: 'amd64' },
};
const SUBJECT = [{ name: '_', digest: { sha256: hexOf(IMAGE.digest) } }];
const PREDICATE: Predicate = { type: PREDICATE_TYPE.slsa1, body: { a: 1 }, fileName: 'x', inFiles: true };
const index = (...manifests: Descriptor[]) => ({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }) as const;

test('readAttestations() reads what putAttestations() wrote, in both forms', async (t) => {
  const { content } = await temporaryStore(t);
  for (const form of ['image', 'artifact'] as const) {
    const manifest = await putAttestations({ content }, IMAGE, { predicates: [PREDICATE], subjects: SUBJECT, form });
    const [found] = await readAttestations(index(IMAGE, manifest), async (_, { digest }) => await content.read(digest));
    assert.deepEqual([found?.platform, found?.digest], ['linux/amd64', IMAGE.digest]);
    const expected = [{ predicateType: PREDICATE.type, subject: SUBJECT, predicate: { a: 1 } }];
    // What was read has no prototypes.
    assert.deepEqual(JSON.parse(JSON.stringify(found?.statements)), expected);
    const document = JSON.parse((await content.read(manifest.digest)).toString());
    assert.equal(document.artifactType, form === 'artifact' ? 'application/vnd.docker.attestation.manifest.v1+json' : undefined);
    assert.equal(document.subject?.digest, form === 'artifact' ? IMAGE.digest : undefined);
    assert.equal(document.config.mediaType, form === 'artifact' ? 'application/vnd.oci.empty.v1+json' : MEDIA_TYPE.config);
    assert.equal(document.layers[0].annotations['in-toto.io/predicate-type'], PREDICATE.type);
    assert.deepEqual(manifest.platform, { os: 'unknown', architecture: 'unknown' });
    assert.equal(parseManifestDocument(await content.read(manifest.digest), manifest.mediaType, 'x').kind, 'manifest');
  }
});

test('readAttestations() refuses statements about something else, and what is too large before it is read', async () => {
  const attempt = async (statement: Buffer, layer: Partial<Descriptor> = {}) => {
    const blobs = new Map([[digestOf(statement), statement]]);
    const descriptor = { mediaType: 'application/vnd.in-toto+json', digest: digestOf(statement), size: statement.length, ...layer };
    const bytes = canonicalJson({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config: descriptor, layers: [descriptor] });
    blobs.set(digestOf(bytes), bytes);
    const annotations = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': IMAGE.digest };
    const manifest = { mediaType: MEDIA_TYPE.manifest, digest: digestOf(bytes), size: bytes.length, annotations };
    return await readAttestations(index(IMAGE, manifest), async (_, { digest }) => blobs.get(digest) ?? assert.fail('not asked for'));
  };
  assert.equal((await attempt(statementBytes(PREDICATE, SUBJECT))).length, 1);
  const other = [{ name: '_', digest: { sha256: 'a'.repeat(64) } }];
  const refusals: [Promise<unknown>, RegExp][] = [
    [attempt(statementBytes(PREDICATE, other)), /it is not about sha256:/],
    [attempt(statementBytes(PREDICATE, [])), /it is not about/],
    [attempt(Buffer.from('[]')), /no in-toto statement/],
    [attempt(Buffer.from('{"_type":"https://example.com"}')), /no in-toto statement/],
    [attempt(statementBytes(PREDICATE, SUBJECT), { size: 1 << 30 }), /larger than 41943040 bytes/],
    [attempt(statementBytes(PREDICATE, SUBJECT), { annotations: { 'in-toto.io/predicate-type': 'x' } }), /calls it something else/],
  ];
  for (const [promise, message] of refusals) await assert.rejects(promise, { code: 'ERR_TSBUILD_IMAGE_INVALID', message });
  assert.deepEqual(await attempt(Buffer.from('unknown'), { mediaType: 'application/x' }), [], 'other types are ignored');
});
