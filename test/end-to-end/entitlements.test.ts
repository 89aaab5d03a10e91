/** `--allow`: what a RUN gets beyond the sandbox, and only then. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type CommandResult, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

async function build(dockerfile: string, ...args: string[]): Promise<CommandResult> {
  return await world.tsbuild(['--progress=plain', ...args, world.context({ Dockerfile: dockerfile })]);
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`${name}:\\s*([0-9a-f]+)`).exec(text)?.[1];
}

const INSECURE =
  'FROM busybox\nRUN --security=insecure grep -E "Cap|Seccomp:" /proc/self/status; mount -t tmpfs none /tmp && echo mounted; umount /tmp; mknod /null c 1 3 && echo x > /null && echo opened; mount | grep " /sys "; ls /proc/acpi | wc -l\n';

test('--security=insecure gives a step all that tsbuild has itself', async () => {
  const { code, stderr } = await build(INSECURE, '--allow', 'security.insecure');
  assert.equal(code, 0, stderr);
  const own = readFileSync('/proc/self/status', 'utf8');
  assert.equal(field(stderr, 'CapEff'), field(own, 'CapEff'));
  assert.equal(field(stderr, 'CapBnd'), field(own, 'CapBnd'));
  assert.match(stderr, / Seccomp:\t0\n/);
  assert.match(stderr, / mounted\n/);
  assert.match(stderr, / opened\n/);
  assert.match(stderr, /sysfs \(rw,/);
});

test('--security=insecure and --network=host are refused before anything runs, at their line', async () => {
  for (const [dockerfile, entitlement] of [
    [INSECURE, 'security.insecure'],
    ['FROM busybox\nRUN --network=host true\n', 'network.host'],
  ] as const) {
    const other = entitlement === 'network.host' ? 'security.insecure' : 'network.host';
    const { code, stderr } = await build(dockerfile, '--allow', other);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`>>> RUN[\\s\\S]*ERR_TSBUILD_NOT_ALLOWED: .*\\n.*--allow ${entitlement}`));
    assert.doesNotMatch(stderr, /^#/m);
  }
});

test('--network=host gives a step the network of the machine; --network host of the command line allows it', async () => {
  const dockerfile = 'FROM busybox\nRUN --network=host readlink /proc/self/ns/net\n';
  for (const args of [
    ['--allow', 'network.host'],
    ['--network', 'host', '--no-cache'],
  ]) {
    const { code, stderr } = await build(dockerfile, ...args);
    assert.equal(code, 0, stderr);
    assert.ok(stderr.includes(readlinkSync('/proc/self/ns/net')), stderr);
  }
});

test('a step that may do more is not found in the cache of one that may not', async () => {
  const lines = ['FROM busybox', 'RUN --security=sandbox grep -c . /proc/self/status'];
  assert.equal((await build(lines.join('\n'))).code, 0);
  const { stderr } = await build(lines.join('\n').replace('sandbox', 'insecure'), '--allow', 'security.insecure');
  assert.doesNotMatch(stderr, /CACHED/);
});

test('--allow takes names that it knows', async () => {
  const { code, stderr } = await build('FROM busybox\n', '--allow', 'all');
  assert.equal(code, 2);
  assert.match(stderr, /Cannot use "all" as --allow: not one of network\.host, security\.insecure, device, device=NAME/);
});
