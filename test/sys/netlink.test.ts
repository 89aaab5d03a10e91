import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { makeNetworkNamespace } from '../../src/sys/namespace.ts';
import { NETLINK_ROUTE, openNetlink } from '../../src/sys/netlink.ts';

const RTM_GETLINK = 18;
const REQUEST_AND_DUMP = 0x301;

describe('openNetlink()', () => {
  it('openNetlink() carries a request to the kernel and an answer back', () => {
    using socket = openNetlink(NETLINK_ROUTE);
    const answer = dumpLinks(socket);
    assert.ok(answer.includes('lo\0'));
  });

  it('openNetlink() throws a SyscallError for a protocol that the kernel does not have', () => {
    assert.throws(() => openNetlink(31), { code: 'ERR_TSBUILD_SYSCALL_FAILED', errno: 'EPROTONOSUPPORT' });
  });

  it('openNetlink() leaves no descriptor behind once disposed, also twice', () => {
    const before = readdirSync('/proc/self/fd').length;
    const socket = openNetlink(NETLINK_ROUTE);
    socket[Symbol.dispose]();
    socket[Symbol.dispose]();
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});

describe('makeNetworkNamespace()', () => {
  it('makeNetworkNamespace() gives a namespace of its own and leaves every thread of this process where it was', async () => {
    await Promise.all(Array.from({ length: 8 }, () => readlink('/proc/self/ns/net')));
    const home = readlinkSync('/proc/thread-self/ns/net');
    const { fd, result: inside } = makeNetworkNamespace(() => readlinkSync('/proc/thread-self/ns/net'));
    assert.notEqual(inside, home);
    assert.equal(inside, `net:[${fstatSync(fd).ino}]`);
    for (const thread of readdirSync('/proc/self/task')) {
      assert.equal(readlinkSync(`/proc/self/task/${thread}/ns/net`), home, thread);
    }
    assert.equal(await readlink('/proc/thread-self/ns/net'), home);
    assert.equal(spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout.trim(), home);
    closeSync(fd);
  });

  it('makeNetworkNamespace() comes back when what runs inside throws, and leaves no descriptor behind', () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    const before = readdirSync('/proc/self/fd').length;
    assert.throws(
      () =>
        makeNetworkNamespace(() => {
          throw new Error('inside');
        }),
      /inside/,
    );
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), home);
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });

  it('makeNetworkNamespace() opens sockets inside that see nothing but a loopback', () => {
    const { fd, result: socket } = makeNetworkNamespace(() => openNetlink(NETLINK_ROUTE));
    const first = dumpLinks(socket);
    assert.ok(first.includes('lo\0'));
    assert.equal(first.includes('eth0\0'), false);
    socket[Symbol.dispose]();
    closeSync(fd);
  });

  it('makeNetworkNamespace() throws PRIVILEGE to an ordinary user', () => {
    const module = new URL('../../src/sys/namespace.js', import.meta.url).pathname;
    const script = `process.setgid(65534); process.setuid(65534); const { makeNetworkNamespace } = await import(${JSON.stringify(module)});
      try { makeNetworkNamespace(() => 0); } catch (error) { console.log(error.code); }`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(stdout.trim(), 'ERR_TSBUILD_PRIVILEGE', stderr);
  });
});

function dumpLinks(socket: ReturnType<typeof openNetlink>): Buffer {
  const request = Buffer.alloc(32);
  request.writeUInt32LE(32, 0);
  request.writeUInt16LE(RTM_GETLINK, 4);
  request.writeUInt16LE(REQUEST_AND_DUMP, 6);
  socket.send(request);
  return socket.receive();
}
