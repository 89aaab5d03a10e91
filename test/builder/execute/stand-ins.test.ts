import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { putStandIns, type StandIn } from '../../../src/builder/execute/stand-ins.ts';
import type { MountSpec } from '../../../src/sandbox/container-spec.ts';
import { openDirectory } from '../../../src/sys/open.ts';
import { type ByteString, fromText } from '../../../src/tree/byte-string.ts';

const TEXT: MountSpec = { kind: 'text', target: '/etc/hosts', text: 'ours\n' };

describe('putStandIns()', () => {
  let directory: string;
  const at = (...names: string[]): string => path.join(directory, ...names);
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-stand-ins-'));
    for (const name of ['copy', 'aside', 'cache', 'copy/etc', 'cache/data', 'cache/data/sub']) mkdirSync(at(name));
    writeFileSync(at('copy/etc/hosts'), 'theirs\n');
    utimesSync(at('copy/etc'), 7, 7);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const put = (...standIns: (readonly [MountSpec, string])[]): Disposable =>
    putStandIns(
      { root: openDirectory(fromText(at('copy'))), aside: at('aside'), resolvConf: 'nameserver 192.0.2.1\n', onNoDevices: () => {} },
      standIns.map(([mount, place]): StandIn => ({ mount, at: fromText(place) })),
    );

  test('hides what is there, and brings it back with its inode, its directory with its time', () => {
    const { ino } = lstatSync(at('copy/etc/hosts'));
    {
      using _ = put([TEXT, 'etc/hosts']);
      assert.equal(readFileSync(at('copy/etc/hosts'), 'utf8'), 'ours\n');
      assert.equal(lstatSync(at('copy/etc')).mtimeMs, 7000);
      rmSync(at('copy/etc/hosts'));
      mkdirSync(at('copy/etc/hosts/made/by/the/step'), { recursive: true });
      utimesSync(at('copy/etc'), 7, 7);
    }
    assert.deepEqual([readFileSync(at('copy/etc/hosts'), 'utf8'), lstatSync(at('copy/etc/hosts')).ino], ['theirs\n', ino]);
    assert.equal(lstatSync(at('copy/etc')).mtimeMs, 7000);
    assert.deepEqual(readdirSync(at('aside')), []);
  });

  test('keeps the time of a directory that the step has changed', () => {
    {
      using _ = put([TEXT, 'etc/hosts']);
      writeFileSync(at('copy/etc/new'), '');
      utimesSync(at('copy/etc'), 9, 9);
    }
    assert.equal(lstatSync(at('copy/etc')).mtimeMs, 9000);
  });

  test('gives files their owner and mode, whatever the umask', () => {
    const bytes = Buffer.from('hush').toString('base64');
    using _ = put(
      [{ kind: 'bytes', target: '/s', bytes, owner: { mode: 0o4750, uid: 5, gid: 6 } }, 's'],
      [{ kind: 'tmpfs', target: '/t' }, 't'],
    );
    const { mode, uid, gid } = lstatSync(at('copy/s'));
    assert.deepEqual([mode & 0o7777, uid, gid, lstatSync(at('copy/t')).mode & 0o7777], [0o4750, 5, 6, 0o1777]);
  });

  test('brings directories home, and no other thing that is in their place', () => {
    const cache: MountSpec = { kind: 'bind', target: '/c', hostPath: at('cache/data'), access: 'read-write' };
    {
      using _ = put([cache, 'c']);
      assert.ok(!existsSync(at('cache/data')));
      writeFileSync(at('copy/c/kept'), '');
    }
    assert.deepEqual([readdirSync(at('cache/data')), readdirSync(at('copy'))], [['kept', 'sub'], ['etc']]);
    {
      using _ = put([{ ...cache, source: '/sub' }, 'c']);
      assert.deepEqual(readdirSync(at('cache/data')), ['kept']);
    }
    assert.deepEqual(readdirSync(at('cache/data')), ['kept', 'sub']);
    {
      using _ = put([cache, 'c']);
      renameSync(at('copy/c'), at('copy/elsewhere'));
      symlinkSync('/', at('copy/c'));
    }
    assert.deepEqual([readdirSync(at('cache')), readdirSync(at('copy')).sort()], [[], ['elsewhere', 'etc']]);
  });

  test('follows links inside another stand-in, never out of the root', () => {
    const outside = at('outside');
    mkdirSync(outside);
    chmodSync(outside, 0o755);
    symlinkSync(outside, at('cache/data/link'));
    const cache: MountSpec = { kind: 'bind', target: '/c', hostPath: at('cache/data'), access: 'read-write' };
    // The link leads to a directory that the root does not have.
    assert.throws(() => put([cache, 'c'], [{ ...TEXT, make: { inside: '/c', type: 'file' } }, 'c/link/f']), /ENOENT/);
    assert.deepEqual([readdirSync(outside), readdirSync(at('cache/data')).sort()], [[], ['link', 'sub']]);
    mkdirSync(path.join(at('copy'), outside), { recursive: true });
    {
      using _ = put([cache, 'c'], [{ ...TEXT, make: { inside: '/c', type: 'file' } }, 'c/link/f']);
      assert.equal(readFileSync(path.join(at('copy'), outside, 'f'), 'utf8'), 'ours\n');
    }
    assert.deepEqual(readdirSync(outside), []);
  });

  test('takes back what it has put where another cannot be, and refuses one cache at two places', () => {
    const cache: MountSpec = { kind: 'bind', target: '/c', hostPath: at('cache/data'), access: 'read-write' };
    assert.throws(() => put([TEXT, 'etc/hosts'], [cache, 'c'], [TEXT, 'not/there' as ByteString]), /ENOENT/);
    assert.deepEqual([readFileSync(at('copy/etc/hosts'), 'utf8'), readdirSync(at('cache'))], ['theirs\n', ['data']]);
    assert.throws(() => put([cache, 'c'], [{ ...cache, target: '/d', source: '/sub' }, 'd']), { code: 'ERR_TSBUILD_UNSUPPORTED' });
  });
});
