import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import { connectInNamespace, datagramInNamespace, ownAddress } from '../../src/sys/internet-socket.ts';
import { makeNetworkNamespace } from '../../src/sys/namespace.ts';

/** A namespace with a server in it that answers each connection with `inside`, and what it takes to be its own address. */
const SCRIPT = (module: string) => `
  import { once } from 'node:events';
  import { openSync } from 'node:fs';
  import { Socket } from 'node:net';
  import { spawn } from 'node:child_process';
  import { connectInNamespace, datagramInNamespace, ownAddress } from ${JSON.stringify(module)};
  const server = "require('net').createServer((s) => s.end('inside')).listen(4321, () => console.log('up'))";
  const child = spawn('unshare', ['-n', 'sh', '-c', 'busybox ip link set lo up; exec "$0" -e "$1"', process.execPath, server], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const netns = openSync('/proc/' + child.pid + '/ns/net');
  const socket = new Socket({ fd: connectInNamespace(netns, '127.0.0.1', 4321), readable: true, writable: true });
  let text = '';
  for await (const chunk of socket) text += chunk;
  let refused = '';
  try { connectInNamespace(netns, '192.0.2.1', 80); } catch (error) { refused = error.errno; }
  console.log(JSON.stringify([text, refused, ownAddress(netns), typeof datagramInNamespace(netns)]));
  child.kill('SIGKILL');
  process.exit();`;

async function outputOf(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  await new Promise((resolve) => child.once('close', resolve));
  return text.trim();
}

describe('sockets of another network namespace', () => {
  const script = SCRIPT(new URL('../../src/sys/internet-socket.js', import.meta.url).href);
  const expected = ['inside', 'ENETUNREACH', '127.0.0.1', 'number'];

  it('are opened there by root', { timeout: 60_000 }, async () => {
    assert.deepEqual(JSON.parse(await outputOf(process.execPath, '--input-type=module', '-e', script)), expected);
  });

  it('are opened there by a process in a user namespace of its own, which could not come back', { timeout: 60_000 }, async () => {
    assert.deepEqual(JSON.parse(await outputOf('unshare', '-Ur', process.execPath, '--input-type=module', '-e', script)), expected);
  });

  it('leave this process in its own', () => {
    const { fd } = makeNetworkNamespace(() => undefined);
    const before = readlinkSync('/proc/thread-self/ns/net');
    assert.equal(ownAddress(fd), '127.0.0.1');
    assert.throws(() => connectInNamespace(fd, '127.0.0.1', 1), { errno: 'ENETUNREACH' });
    const datagrams = datagramInNamespace(fd);
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
    for (const each of [datagrams, fd]) closeSync(each);
  });
});
