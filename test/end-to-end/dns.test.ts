/** `--dns`, `--dns-search` and `--dns-option` of build and run. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

const FLAGS = ['--dns', '192.0.2.53', '--dns-search', 'a.example', '--dns-search', 'b', '--dns-option', 'ndots:3'];
const EXPECTED = /nameserver 192\.0\.2\.53\n(?:#\d+ [\d.]+ )?search a\.example b\n(?:#\d+ [\d.]+ )?options ndots:3\n/;

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

test('a step and a container look names up as they are told', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN cat /etc/resolv.conf\n' });
  const { code, stderr } = await world.tsbuild(['--progress=plain', ...FLAGS, context]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, EXPECTED);
  assert.match(`${await world.succeed(['run', ...FLAGS, 'busybox', 'cat', '/etc/resolv.conf'])}\n`, EXPECTED);
});

test('name servers are no part of a step’s key', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo once\n' });
  const first = await world.succeed([context]);
  const { stderr, stdout } = await world.tsbuild(['--progress=plain', ...FLAGS, context]);
  assert.equal(stdout.trim(), first);
  assert.match(stderr, /CACHED/);
});

test('a name server that no step can reach is refused', async () => {
  const { code, stderr } = await world.tsbuild(['--dns', '127.0.0.1', world.context({ Dockerfile: 'FROM busybox\n' })]);
  assert.equal(code, 2);
  assert.match(stderr, /ERR_TSBUILD_USAGE: Cannot use "127\.0\.0\.1" as --dns: a step has a loopback of its own/);
});
