import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { parseStrictJson } from '../../src/oci/strict-json.ts';

const parse = (text: string | Buffer) => parseStrictJson(Buffer.from(text as string), 'the test');
const isInvalid = (error: unknown) =>
  error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID' && error.message.includes('the test');

test('parseStrictJson() reads what JSON.parse() reads', () => {
  const texts = [
    'null',
    ' [ ] ',
    '{}',
    '{"a":[1,-0,1.5e3,1E-2,true,false,null,"x"]}',
    '"\\u00e9\\ud83d\\ude00\\/\\n"',
    '"é😀"',
    '\t\r\n1',
    '9007199254740991',
  ];
  for (const text of texts) assert.equal(JSON.stringify(parse(text)), JSON.stringify(JSON.parse(text)), text);
});

test('parseStrictJson() refuses what two readers could take differently, and what is no JSON', () => {
  const texts = [
    ...[
      '',
      ' ',
      '{',
      '[',
      '"',
      '"\\',
      '"\\u12',
      '{"a"',
      '{"a":',
      '{"a":1',
      '{"a":1,',
      '[1',
      '[1,',
      'tru',
      'nul',
      '-',
      '+1',
      '01',
      '1.',
      '.5',
      '1e',
      '0x1',
    ],
    ...[
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '[1,]',
      '{"a":1,}',
      '{a:1}',
      "{'a':1}",
      '1 2',
      '{}x',
      'NaN',
      'Infinity',
      '1e400',
      '9007199254740992',
      '-9007199254740993',
    ],
    ...['"\\ud800"', '"\\udc00\\ud800"', '"\u0000"', '"\n"', '"\\x41"', '\ufeff{}', '{"a"=1}', '//x\n1', '\u000b1', '\u00a01'],
    `${'['.repeat(66)}${']'.repeat(66)}`,
    '['.repeat(1_000_000),
  ];
  for (const text of texts) assert.throws(() => parse(text), isInvalid, text.slice(0, 40));
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xc0, 0xaf, 0x22],
    [0x22, 0xc3],
  ])
    assert.throws(() => parse(Buffer.from(bytes)), isInvalid);
});

test('parseStrictJson() keeps __proto__ as a name like any other', () => {
  const value = parse('{"__proto__":{"polluted":1},"constructor":2}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  assert.equal(canonicalJson(value).toString(), '{"__proto__":{"polluted":1},"constructor":2}');
});

test('parseStrictJson() takes a string of megabytes in linear time', () => {
  const started = performance.now();
  assert.equal((parse(`"${'\\"a'.repeat(1_000_000)}"`) as string).length, 2_000_000);
  assert.ok(performance.now() - started < 2000);
});

test('parseStrictJson() and JSON.parse() agree on every value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(4), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      if (/-?\d{16,}(?![.\d])/.test(text) || /\\ud[89a-f]/.test(text)) return;
      assert.equal(JSON.stringify(parse(text)), JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 500 },
  );
});

test('parseStrictJson() only ever throws IMAGE_INVALID, whatever the bytes', () => {
  const soup = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0d8ntrue1-e. '), maxLength: 40 });
  fc.assert(
    fc.property(soup, (text) => {
      let mine: unknown;
      try {
        mine = parse(text);
      } catch (error) {
        return isInvalid(error);
      }
      return JSON.stringify(mine) === JSON.stringify(JSON.parse(text));
    }),
    { numRuns: 5000 },
  );
});

test('canonicalJson() has one form whatever the order of names', () => {
  assert.equal(canonicalJson({ b: [{ z: 1, a: undefined }], a: 'é' }).toString(), '{"a":"é","b":[{"z":1}]}');
  assert.equal(canonicalJson({ a: 'é', b: [{ z: 1 }] }).toString(), '{"a":"é","b":[{"z":1}]}');
});
