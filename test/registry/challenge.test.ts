import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from '../../src/registry/challenge.ts';

const plain = (header: string | string[] | undefined) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

const CASES: readonly [string | string[] | undefined, unknown[]][] = [
  [undefined, []],
  ['', []],
  [', ,', []],
  ['Basic', [['basic', {}]]],
  ['Basic realm="a b"', [['basic', { realm: 'a b' }]]],
  [
    'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"',
    [['bearer', { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull,push' }]],
  ],
  ['Bearer realm = "x" , service = y', [['bearer', { realm: 'x', service: 'y' }]]],
  ['BEARER REALM=x', [['bearer', { realm: 'x' }]]],
  [
    'Basic realm="r", Bearer realm="t", service="s"',
    [
      ['basic', { realm: 'r' }],
      ['bearer', { realm: 't', service: 's' }],
    ],
  ],
  [
    ['Basic realm="r"', 'Bearer realm="t"'],
    [
      ['basic', { realm: 'r' }],
      ['bearer', { realm: 't' }],
    ],
  ],
  ['Bearer realm="a\\"b\\\\c"', [['bearer', { realm: 'a"b\\c' }]]],
  ['Bearer realm="open', [['bearer', { realm: 'open' }]]],
  ['Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
  ['realm="a"', []],
  ['=x', []],
];

for (const [header, expected] of CASES) {
  test(`parseChallenges() reads ${JSON.stringify(header)}`, () => assert.deepEqual(plain(header), expected));
}

test('parseChallenges() ends for any header', () => {
  fc.assert(fc.property(fc.string({ maxLength: 300, unit: fc.constantFrom(...'aB=", \\\t;') }), (header) => void parseChallenges(header)));
});

test('parseChallenges() gives back what was quoted', () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      const quoted = value.replace(/["\\]/g, (char) => `\\${char}`);
      assert.deepEqual(plain(`Bearer realm="${quoted}",x=y`), [['bearer', { realm: value, x: 'y' }]]);
    }),
  );
});

test('parseChallenges() takes linear time for hostile headers', () => {
  for (const unit of ['"', '\\', ' ', 'a=', 'a="', ',', '=']) {
    const start = performance.now();
    for (let round = 0; round < 20; round += 1) parseChallenges(unit.repeat(1_000_000));
    assert.ok(performance.now() - start < 2000, unit);
  }
});
