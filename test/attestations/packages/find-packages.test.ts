import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findPackages } from '../../../src/attestations/packages/find-packages.ts';
import { packagePurl } from '../../../src/attestations/packages/package-purl.ts';
import { spdxLicenseNames } from '../../../src/attestations/packages/spdx-license-names.ts';
import { spdxDocument } from '../../../src/attestations/spdx-document.ts';
import { fromText } from '../../../src/tree/byte-string.ts';
import type { FileTree } from '../../../src/tree/file-tree.ts';
import { memoryTree } from '../../tree/_memory-tree.ts';
import { assertSpdx } from '../_spdx-rules.ts';

const file = (content: string) => ({ content });
const link = (target: string) => ({ type: 'symlink', linkTarget: fromText(target) }) as const;

async function inventoryOf(tree: FileTree) {
  const warnings: string[] = [];
  const found = await findPackages(tree, { signal: new AbortController().signal, warn: (message) => warnings.push(message) });
  const document = spdxDocument({
    name: 'x',
    created: '2001-01-01T00:00:00Z',
    inventory: found,
    licenses: spdxLicenseNames(),
    version: '1',
  });
  assertSpdx(document);
  return { ...found, warnings, document, purls: found.packages.map((each) => packagePurl(each, found.system)) };
}

const DEBIAN = { 'etc/os-release': file('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_ID="12"\n') };

describe('findPackages()', () => {
  test('takes from dpkg what is installed, with source, licences and supplier', async () => {
    const status = `Package: bash
Status: install ok installed
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Version: 5.2.15-2+b13
Source: bash (5.2.15-2)
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.
Homepage: http://tiswww.case.edu/php/chet/bash/bashtop.html

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: never
Status: unknown ok not-installed
Version: 1
`;
    const copyright =
      'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: GPL-3+\n text\n\nFiles: y\nLicense: Expat or weird\n\nLicense: Expat\n not counted\n';
    const tree = memoryTree({
      ...{
        ...DEBIAN,
        'var/lib/dpkg/status': file(status),
        'usr/share/doc/bash': link('other'),
        'usr/share/doc/other/copyright': file(copyright),
      },
    });
    const { packages, purls, document } = await inventoryOf(tree);
    assert.deepEqual(purls, ['pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2']);
    assert.equal(packages[0]?.summary, 'GNU Bourne Again SHell');
    const text = JSON.stringify(document);
    assert.match(text, /"licenseDeclared":"\(MIT OR LicenseRef-weird\) AND GPL-3\.0-or-later"/);
    assert.match(text, /"supplier":"Person: Matthias Klose \(doko@debian\.org\)"/);
  });

  test('takes status.d of images that are made without dpkg', async () => {
    const tree = memoryTree({
      'var/lib/dpkg/status.d/base': file('Package: base-files\nVersion: 12.4\nArchitecture: amd64\n'),
      'var/lib/dpkg/status.d/base.md5sums': file('Package: no\nVersion: 1\n'),
    });
    const { packages, purls } = await inventoryOf(tree);
    assert.deepEqual(purls, ['pkg:deb/debian/base-files@12.4?arch=amd64']);
    assert.equal(packages[0]?.recordedIn, '/var/lib/dpkg/status.d/base');
  });

  test('takes from apk what is in its list, wherever /lib is', async () => {
    const installed = `C:Q1hash=
P:busybox
V:1.35.0-r17
A:x86_64
L:GPL-2.0-only
T:Size optimized toolbox
U:https://busybox.net/
o:busybox
m:Sören Tempel <soeren+alpine@soeren-tempel.net>
F:bin
R:busybox
Z:Q1x=

P:ssl_client
V:1.35.0-r17
A:x86_64
L:GPL-2.0-only AND (MIT OR Custom)
o:busybox

`;
    const tree = memoryTree({
      'etc/os-release': file('ID=alpine\nVERSION_ID=3.16.2\n'),
      ...{ lib: link('usr/lib'), 'usr/lib/apk/db/installed': file(installed) },
    });
    const { purls, document, system } = await inventoryOf(tree);
    assert.deepEqual(purls, [
      'pkg:apk/alpine/busybox@1.35.0-r17?arch=x86_64&distro=alpine-3.16.2',
      'pkg:apk/alpine/ssl_client@1.35.0-r17?arch=x86_64&distro=alpine-3.16.2&upstream=busybox',
    ]);
    assert.equal(system?.name, 'alpine');
    assert.match(JSON.stringify(document), /"licenseDeclared":"GPL-2\.0-only AND \(MIT OR LicenseRef-Custom\)"/);
  });

  test('knows packages of npm and Python by where they lie', async () => {
    const tree = memoryTree({
      'app/package.json': file('{"name":"app","version":"1.0.0"}'),
      'app/node_modules/a/package.json': file(
        '{"name":"a","version":"1.2.3","license":"(MIT OR Apache-2.0)","author":{"name":"A","email":"a@b"}}',
      ),
      'app/node_modules/@s/b/package.json': file('{"name":"@s/b","version":"2.0.0","licenses":[{"type":"ISC"}]}'),
      'app/node_modules/a/node_modules/c/package.json': file('{"name":"c","version":"3.0.0"}'),
      'app/node_modules/a/test/package.json': file('{"name":"fixture","version":"9.9.9"}'),
      'app/node_modules/.bin/package.json': file('{"name":"d","version":"4.0.0"}'),
      'app/node_modules/broken/package.json': file('{"name":'),
      'app/node_modules/nobody/package.json': file('{"name":["x"],"version":{}}'),
      'usr/lib/python3/dist-packages/Foo_Bar-1.0.dist-info/METADATA': file(
        'Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\nLicense: MIT License\n\nName: other\n',
      ),
      'usr/lib/python3/dist-packages/old.egg-info': file('Name: old\nVersion: 0.1\nLicense: UNKNOWN\n'),
      'usr/lib/python3/dist-packages/foo_bar.egg-info': file('Name: foo-bar\nVersion: 1.0\n'),
      'usr/lib/python3/dist-packages/dir.egg-info/PKG-INFO': file('Name: dir.pkg\nVersion: 2\nLicense-Expression: Apache-2.0\n'),
    });
    const { purls, document } = await inventoryOf(tree);
    assert.deepEqual(purls, [
      'pkg:npm/a@1.2.3',
      'pkg:npm/c@3.0.0',
      'pkg:npm/%40s/b@2.0.0',
      'pkg:pypi/dir-pkg@2',
      'pkg:pypi/foo-bar@1.0',
      'pkg:pypi/old@0.1',
    ]);
    assert.match(JSON.stringify(document), /"licenseDeclared":"\(MIT OR Apache-2\.0\)"/);
  });

  test('follows no link out of the tree, and bears loops and what is no file', async () => {
    const tree = memoryTree({
      'var/lib/dpkg/status': link('/../../../../etc/hostname'),
      'etc/os-release': link('os-release'),
      'lib/apk/db/installed': { type: 'fifo' },
      'var/lib/rpm/rpmdb.sqlite': { type: 'directory' },
      'a/node_modules/x/package.json': link('/etc/passwd'),
      'usr/lib/python3/dist-packages/y.egg-info': link('/etc/passwd'),
    });
    const { packages, system, warnings } = await inventoryOf(tree);
    assert.deepEqual([packages, system, warnings], [[], undefined, []]);
  });

  test('tells of databases of rpm that it cannot read', async () => {
    for (const [name, message] of [
      ['var/lib/rpm/rpmdb.sqlite', 'it is no SQLite database'],
      ['usr/lib/sysimage/rpm/Packages.db', 'it is no ndb of version 0'],
      ['usr/share/rpm/Packages', 'it is no hash of Berkeley DB'],
    ] as const) {
      const { warnings } = await inventoryOf(memoryTree({ [name]: file('x'.repeat(200)) }));
      assert.deepEqual(warnings, [`Cannot read all packages of /${name}: ${message}`]);
    }
    const cut = memoryTree({ 'var/lib/rpm/Packages': file('x') });
    assert.deepEqual((await inventoryOf(cut)).warnings, ['Cannot read all packages of /var/lib/rpm/Packages: it is cut off']);
  });

  test('keeps control characters, long texts and halves of surrogates out of the document', async () => {
    const evil = JSON.stringify({
      name: 'e',
      version: '1\u001b[31m\u0000',
      description: `\ud800${'x'.repeat(1 << 20)}`,
      homepage: 'javascript:alert(1)',
      license: 'x\n(('.repeat(500),
    });
    const { document } = await inventoryOf(memoryTree({ 'node_modules/e/package.json': file(evil) }));
    const text = JSON.stringify(document);
    assert.ok(text.length < 10_000);
    assert.doesNotMatch(text, /\\u001b|\\u0000|\\ud800|javascript/);
  });
});
