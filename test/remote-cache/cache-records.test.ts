import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PortableStep } from '../../src/cache/portable-step.ts';
import { TsbuildError } from '../../src/errors.ts';
import { type CacheRecords, encodeRecords, parseRecords } from '../../src/remote-cache/cache-records.ts';

const hex = fc.stringMatching(/^[a-f0-9]{64}$/);
const digest = hex.map((text) => `sha256:${text}` as const);
const descriptor = fc.record({
  mediaType: fc.constantFrom('application/vnd.oci.image.layer.v1.tar', 'application/vnd.oci.image.layer.v1.tar+gzip'),
  ...{ digest, size: fc.integer({ min: 1, max: 2 ** 40 }) },
});
const layer = fc.record({
  descriptor,
  diffId: digest,
  form: fc.constantFrom('', 'zstd 3 as they are'),
  createdAt: fc.constant('2026-01-02T03:04:05.678Z'),
});
const step: fc.Arbitrary<PortableStep> = fc
  .record({ key: hex, parent: hex, nonce: hex, layer: fc.option(layer, { nil: undefined }) })
  .map(({ key, parent, nonce, ...rest }) => ({
    key,
    parent,
    made: { key, nonce },
    ...(rest.layer === undefined ? {} : { layer: rest.layer }),
  }));
const records: fc.Arbitrary<CacheRecords> = fc.record({
  steps: fc.uniqueArray(step, { selector: ({ key }) => key, maxLength: 5 }),
  mounts: fc.array(fc.record({ name: hex, descriptor, diffId: digest, mode: fc.nat(0o7777), uid: fc.nat(), gid: fc.nat() }), {
    maxLength: 2,
  }),
});

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('parseRecords() reads what encodeRecords() wrote, in one order', () => {
  fc.assert(
    fc.property(records, (value) => {
      const mounts = value.mounts.map((mount) => ({
        ...mount,
        descriptor: { ...mount.descriptor, size: mount.descriptor.size % 2 ** 32 },
      }));
      const bytes = encodeRecords({ ...value, mounts });
      assert.deepEqual(encodeRecords({ steps: [...value.steps].reverse(), mounts }), bytes);
      const found = parseRecords(bytes);
      assert.deepEqual(plain(found.mounts), mounts);
      assert.deepEqual(new Set(found.steps.map(({ key }) => key)), new Set(value.steps.map(({ key }) => key)));
    }),
    { numRuns: 200 },
  );
});

test('parseRecords() throws IMAGE_INVALID where any field is another, or missing', () => {
  fc.assert(
    fc.property(step, layer, fc.anything(), fc.nat(), (one, own, foreign, pick) => {
      const whole = plain({ version: 1, steps: [{ ...one, layer: own }], mounts: [] }) as {
        steps: [Record<string, Record<string, unknown>>];
      };
      const [changed] = whole.steps;
      const places: [Record<string, unknown> | undefined, string][] = [
        ...['key', 'parent', 'made'].map((name): [Record<string, unknown>, string] => [changed, name]),
        ...['key', 'nonce'].map((name): [Record<string, unknown> | undefined, string] => [changed['made'], name]),
        ...['descriptor', 'diffId', 'form', 'createdAt'].map((name): [Record<string, unknown> | undefined, string] => [
          changed['layer'],
          name,
        ]),
      ];
      const [object, name] = places[pick % places.length] ?? [undefined, ''];
      const before = object?.[name];
      if (object === undefined || (typeof foreign === 'string' && foreign === before) || (name === 'form' && typeof foreign === 'string'))
        return;
      Object.assign(object, { [name]: foreign });
      let bytes: Buffer;
      try {
        bytes = Buffer.from(JSON.stringify(whole, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
      } catch {
        return;
      }
      assert.throws(
        () => parseRecords(bytes),
        (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID',
      );
    }),
    { numRuns: 500 },
  );
});

test('parseRecords() hands on nothing that is not a field', () => {
  fc.assert(
    fc.property(step, layer, (one, own) => {
      const more = { annotations: null, platform: 1, urls: ['http://elsewhere.example'], toString: 'x' };
      const value = {
        version: 1,
        steps: [{ ...one, ...more, layer: { ...own, ...more, descriptor: { ...own.descriptor, ...more } } }],
        mounts: [],
      };
      assert.deepEqual(plain(parseRecords(Buffer.from(JSON.stringify(value))).steps), plain([{ ...one, layer: own }]));
    }),
  );
});
