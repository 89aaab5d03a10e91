import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { licenseExpression } from '../../../src/attestations/packages/license-expression.ts';
import { spdxLicenseNames } from '../../../src/attestations/packages/spdx-license-names.ts';

const names = spdxLicenseNames();
const of = (text: string): string | undefined => licenseExpression(text, names)?.expression;

test('licenseExpression() leaves expressions of SPDX what they are', () => {
  for (const text of [
    'MIT',
    'Apache-2.0 OR MIT',
    '(MIT OR ISC) AND BSD-3-Clause',
    'GPL-2.0-or-later WITH Classpath-exception-2.0',
    'CDDL-1.1+',
  ])
    assert.equal(of(text), text);
  assert.equal(of('mit and apache-2.0'), 'MIT AND Apache-2.0', 'in the spelling of the list');
});

test('licenseExpression() knows what Debian, Fedora and others call licences', () => {
  const known: [string, string][] = [
    ['Expat', 'MIT'],
    ['GPL-2+', 'GPL-2.0-or-later'],
    ['GPLv2+ and LGPLv2', 'GPL-2.0-or-later AND LGPL-2.0-only'],
    ['LGPL-2.1+', 'LGPL-2.1-or-later'],
    ['GPL-3', 'GPL-3.0-only'],
    ['BSD-3-clause or Expat, and ISC', 'BSD-3-Clause OR MIT AND ISC'],
    ['ASL 2.0', 'Apache-2.0'],
    ['MIT License', 'MIT'],
    ['MPLv2.0 or GPL-2+', 'MPL-2.0 OR GPL-2.0-or-later'],
  ];
  for (const [text, expression] of known) assert.equal(of(text), expression, text);
});

test('licenseExpression() gives what the list does not have a reference that is explained', () => {
  const found = licenseExpression('MIT and Weird Licence (see file) or Odd+1', names);
  for (const [id, name] of found?.references ?? []) assert.match(id, /^LicenseRef-[A-Za-z0-9.-]+$/, name);
  assert.match(of('public-domain') ?? '', /^LicenseRef-public-domain$/);
  assert.match(of('GPL-3+ with Odd exception') ?? '', /^LicenseRef-GPL-3-with-Odd-exception-[0-9a-f]{8}$/);
  assert.notEqual(of('A B'), of('A-B'));
  assert.equal(of('   '), undefined);
  assert.match(of('SEE LICENSE IN LICENSE.txt') ?? '', /^LicenseRef-/);
});

test('licenseExpression() makes a well formed expression of any text', () => {
  const words = fc.constantFrom('(', ')', ' and ', ' OR ', ' with ', 'MIT', 'GPL-2+', 'x y', ',', '+', ' ', 'é', 'Classpath-exception-2.0');
  fc.assert(
    fc.property(fc.array(words, { maxLength: 60 }), (parts) => {
      const found = licenseExpression(parts.join(''), names);
      if (found === undefined) return;
      for (const part of found.expression.split(/ AND | OR |[()]/))
        assert.match(part, /^(?:|LicenseRef-[A-Za-z0-9.-]+|[A-Za-z0-9.-]+\+?(?: WITH [A-Za-z0-9.-]+)?)$/);
      const again = licenseExpression(found.expression, { license: (name) => name, exception: (name) => name });
      assert.equal(again?.expression.replace(/[()]/g, ''), found.expression.replace(/[()]/g, ''));
    }),
  );
});
