import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lookUpOwner, lookUpUser } from '../../../src/builder/execute/user.ts';
import { TsbuildError } from '../../../src/errors.ts';
import { fromText } from '../../../src/tree/byte-string.ts';
import { memoryTree } from '../../tree/_memory-tree.ts';

const tree = memoryTree({
  'etc/passwd': {
    content:
      'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n4294967296:x:0:0::/evil:/bin/sh\n1234:x:0:0::/evil:/bin/sh\nbroken\nbad:x:-1:0::/:/bin/sh\n',
  },
  'etc/group': { content: 'root:x:0:root\nstaff:x:50:app,other\napp:x:1001:\n' },
});
const isNotFound = (error: unknown) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_USER_NOT_FOUND';

describe('lookUpUser()', () => {
  for (const [user, expected] of [
    ['', { uid: 0, gid: 0, groups: [0], home: '/root' }],
    ['app', { uid: 1000, gid: 1001, groups: [1001, 50], home: '/home/app' }],
    ['1000', { uid: 1000, gid: 1001, groups: [1001, 50], home: '/home/app' }],
    ['1234', { uid: 1234, gid: 0, groups: [0], home: '/' }],
    ['app:staff', { uid: 1000, gid: 50, groups: [50], home: '/home/app' }],
    ['7:8', { uid: 7, gid: 8, groups: [8], home: '/' }],
  ] as const) {
    test(`finds ${JSON.stringify(user)}`, () => assert.deepEqual(lookUpUser(tree, user), expected));
  }

  for (const user of ['nobody', 'bad', '4294967296', '2147483648', '-1', '+0', ' 0', '1e3', '0x0', 'app:nogroup', '٠']) {
    test(`refuses ${JSON.stringify(user)}, never as root`, () => assert.throws(() => lookUpUser(tree, user), isNotFound));
  }

  test('reads no fifo and no link out as /etc/passwd', () => {
    const content = 'evil:x:7:7::/:/bin/sh\n';
    assert.equal(lookUpUser(memoryTree({ 'etc/passwd': { content } }), 'evil').uid, 7);
    assert.throws(() => lookUpUser(memoryTree({ 'etc/passwd': { type: 'fifo', content } }), 'evil'), isNotFound);
    const link = { type: 'symlink', linkTarget: fromText('/proc/self/environ') } as const;
    assert.throws(() => lookUpUser(memoryTree({ 'etc/passwd': link }), 'evil'), isNotFound);
  });

  test('reads no /etc/passwd of more than 10 MiB', () => {
    const content = `evil:x:7:7::/:/bin/sh\n${'#'.repeat(10 * 1024 * 1024)}`;
    assert.throws(() => lookUpUser(memoryTree({ 'etc/passwd': { content } }), 'evil'), TsbuildError);
  });
});

describe('lookUpOwner()', () => {
  for (const [chown, expected] of [
    ['1000', { uid: 1000, gid: 1000 }],
    ['app', { uid: 1000, gid: 1001 }],
    ['app:staff', { uid: 1000, gid: 50 }],
    ['app:', { uid: 1000, gid: 0 }],
    ['5:', { uid: 5, gid: 0 }],
    ['root', { uid: 0, gid: 0 }],
    [':50', { uid: 0, gid: 50 }],
    ['3:4', { uid: 3, gid: 4 }],
  ] as const) {
    test(`finds ${chown}`, () => assert.deepEqual(lookUpOwner(tree, chown), expected));
  }

  test('refuses a name that nobody has', () => {
    assert.throws(() => lookUpOwner(tree, 'nobody'), isNotFound);
  });
});
