import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { familiarName, formatReference, parseNewName, parseReference } from '../../src/oci/reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('parseReference()', () => {
  for (const [text, full, familiar] of [
    ['debian', 'docker.io/library/debian:latest', 'debian:latest'],
    ['debian:bookworm', 'docker.io/library/debian:bookworm', 'debian:bookworm'],
    ['me/app', 'docker.io/me/app:latest', 'me/app:latest'],
    ['localhost/app:1', 'localhost/app:1', 'localhost/app:1'],
    ['127.0.0.1:5000/a/b/c:1', '127.0.0.1:5000/a/b/c:1', '127.0.0.1:5000/a/b/c:1'],
    ['[::1]:5000/x', '[::1]:5000/x:latest', '[::1]:5000/x:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest', 'debian:latest'],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`, `debian@${DIGEST}`],
    [`debian:1@${DIGEST}`, `docker.io/library/debian:1@${DIGEST}`, `debian:1@${DIGEST}`],
    ['a__b/c-d.e', 'docker.io/a__b/c-d.e:latest', 'a__b/c-d.e:latest'],
  ] as const) {
    test(`reads ${text}`, () => {
      assert.equal(formatReference(parseReference(text)), full);
      assert.equal(familiarName(parseReference(text)), familiar);
    });
  }

  for (const text of [
    '',
    ':',
    'Upper',
    'a/UPPER',
    'a..b',
    'a/../b',
    '/a',
    'a/',
    'a:',
    'a:-b',
    'a@sha256:12',
    'a b',
    'a\nb',
    `${'x'.repeat(300)}`,
    'a//b',
    'docker.io/../x',
    'host:99999999/x',
    `x@sha512:${'a'.repeat(128)}`,
  ]) {
    test(`H13 refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(
        () => parseReference(text),
        (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_REFERENCE_INVALID',
      );
    });
  }
});

test('parseNewName() takes what parseReference() takes, without a digest', () => {
  assert.deepEqual(parseNewName('app:1'), parseReference('app:1'));
  assert.throws(() => parseNewName(`app@sha256:${'a'.repeat(64)}`), { code: 'ERR_TSBUILD_REFERENCE_INVALID' });
});
