import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHierarchies } from '../../../src/sandbox/cgroup/hierarchies.ts';

test('readHierarchies() finds version 2 alone', () => {
  const mounts = '30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
  assert.deepEqual(readHierarchies(mounts, '0::/user.slice/user-1000.slice/session-2.scope\n'), [
    { version: 2, controllers: [], top: '/sys/fs/cgroup', own: '/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope' },
  ]);
  assert.equal(readHierarchies(mounts, '0::/\n')[0]?.own, '/sys/fs/cgroup');
});

test('readHierarchies() finds the hierarchies of version 1, those with a name and those of several controllers too, beside version 2', () => {
  const mounts = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct',
    '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
    '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd',
    '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
  ].join('\n');
  const cgroup = '5:name=systemd:/init.scope\n4:memory:/a/b\n3:devices:/\n2:cpu,cpuacct:/\n0::/x:y\n';
  assert.deepEqual(
    readHierarchies(mounts, cgroup).map(({ version, controllers, own }) => [version, controllers.join(), own]),
    [
      [1, 'name=systemd', '/sys/fs/cgroup/systemd/init.scope'],
      [1, 'memory', '/sys/fs/cgroup/memory/a/b'],
      [1, 'cpu,cpuacct', '/sys/fs/cgroup/cpu,cpuacct'],
      [2, '', '/sys/fs/cgroup/unified/x:y'],
    ],
  );
});

test('readHierarchies() places this process below a mount that shows a part only, and leaves out what lies outside it', () => {
  const mount = (root: string) => `50 40 0:32 ${root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`;
  const own = (root: string, path: string) => readHierarchies(mount(root), `4:memory:${path}`)[0]?.own;
  assert.equal(own('/docker/1', '/docker/1'), '/sys/fs/cgroup/memory');
  assert.equal(own('/docker/1', '/docker/1/inner'), '/sys/fs/cgroup/memory/inner');
  assert.equal(own('/docker/1', '/docker/12'), undefined);
  assert.equal(own('/docker/1', '/'), undefined);
  assert.equal(own('/', '/../../outside'), undefined);
});

test('readHierarchies() prefers a mount that can be written, and reads names with blanks', () => {
  const mounts = [
    '50 40 0:32 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw',
    '51 40 0:32 / /mnt/my\\040groups rw - cgroup2 cgroup rw',
  ].join('\n');
  assert.equal(readHierarchies(mounts, '0::/a')[0]?.own, '/mnt/my groups/a');
  assert.deepEqual(readHierarchies('nonsense\n', 'nonsense\n0::/\n'), []);
});
