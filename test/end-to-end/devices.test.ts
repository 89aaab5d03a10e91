/** RUN --device and run --device: real nodes, for root and for an ordinary user. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeUserWorld } from './_rootless.ts';
import { type CommandResult, makeWorld, type World } from './_world.ts';

/** Readable for the ordinary user, too. */
const described = mkdtempSync(path.join(tmpdir(), 'tsbuild-cdi-'));
const given = path.join(described, 'given');

before(() => {
  execFileSync('chmod', ['755', described]);
  mkdirSync(given);
  writeFileSync(path.join(given, 'library'), 'of the vendor\n');
  const zero = { path: '/dev/nothing', hostPath: '/dev/zero', type: 'c', major: 1, minor: 5, permissions: 'rw' };
  const mount = { hostPath: given, containerPath: '/opt/vendor', options: ['ro', 'nosuid', 'nodev', 'bind'] };
  const specification = {
    cdiVersion: '0.6.0',
    kind: 'vendor.test/zeros',
    devices: [
      { name: 'one', containerEdits: { deviceNodes: [zero], env: ['DEVICE=one', 'PATH_OF=/dev/nothing'], mounts: [mount] } },
      { name: 'outside', containerEdits: { deviceNodes: [{ path: '/opt/made/node', hostPath: '/dev/zero' }] } },
      { name: 'hooked', containerEdits: { hooks: [{ hookName: 'createContainer', path: '/bin/true' }] } },
      { name: 'gone', containerEdits: { deviceNodes: [{ path: '/dev/not-there-either' }] } },
    ],
    containerEdits: { env: ['VENDOR=test'] },
  };
  writeFileSync(path.join(described, 'vendor.json'), JSON.stringify(specification));
  writeFileSync(
    path.join(described, 'open.yaml'),
    'cdiVersion: "0.6.0"\nkind: vendor.test/free\nannotations:\n  org.mobyproject.buildkit.device.autoallow: true\ndevices:\n- name: "0"\n  containerEdits:\n    env: [FREE=yes]\n    deviceNodes:\n    - path: /dev/free\n      hostPath: /dev/zero\n',
  );
  writeFileSync(path.join(described, 'broken.json'), '{');
});
after(() => rmSync(described, { recursive: true, force: true }));

const USE =
  'head -c 3 /dev/nothing | wc -c; echo "$DEVICE $VENDOR"; cat /opt/vendor/library; touch /opt/vendor/x 2>&1; (mknod /tmp/n c 1 5 && head -c 1 /tmp/n) 2>&1; rm -f /tmp/n';

for (const [who, make] of [
  ['root', makeWorld],
  ['an ordinary user', makeUserWorld],
] as const) {
  describe(`devices of a container, for ${who}`, () => {
    let world: World;
    before(async () => {
      world = await make();
    });
    after(async () => await world[Symbol.asyncDispose]());

    const env = { TSBUILD_CDI_DIRS: described };
    const build = async (line: string, ...args: string[]): Promise<CommandResult> =>
      await world.tsbuild(
        ['--progress=plain', '--network=none', '-t', 'made', ...args, world.context({ Dockerfile: `FROM busybox\n${line}\n` })],
        { env },
      );
    const run = async (...args: string[]): Promise<CommandResult> => await world.tsbuild(['run', '--network=none', ...args], { env });

    it('RUN --device gives its nodes, variables and mounts to the step, and nothing to the layer', async () => {
      const { code, stderr } = await build(`RUN --device=vendor.test/zeros=one,required ${USE}`, '--allow', 'device=vendor.test/zeros=one');
      assert.equal(code, 0, stderr);
      assert.match(stderr, / 3\n.* one test\n.* of the vendor\n.* touch: \/opt\/vendor\/x: Read-only file system\n/);
      assert.match(stderr, /Operation not permitted|Permission denied/);
      const left = await run('made', 'sh', '-c', 'ls -d /dev/nothing /opt /tmp/n 2>&1; echo "<$DEVICE$VENDOR>"');
      assert.match(left.stdout, /nothing: No such[\s\S]*opt: No such[\s\S]*n: No such[\s\S]*<>/);
    });

    it('a node may lie anywhere, and belongs to the user of the step', async () => {
      const line = 'RUN --device=vendor.test/zeros=outside head -c 2 /opt/made/node | wc -c; stat -c %u:%g:%a /opt/made/node';
      const { code, stderr } = await build(`USER app\n${line}`, '--allow=device');
      assert.equal(code, 0, stderr);
      assert.match(stderr, / 2\n/);
      if (who === 'root') assert.match(stderr, / 1000:1000:666\n/);
      assert.match((await run('made', 'ls', '/opt')).stderr, /No such file/);
    });

    it('a device is refused at its flag unless it is allowed, by name, by an alias or by its own annotation', async () => {
      for (const allow of [[], ['--allow=device=vendor.test/free'], ['--allow=network.host']]) {
        const { code, stderr } = await build('RUN --device=vendor.test/zeros=one true', ...allow);
        assert.equal(code, 1);
        assert.match(
          stderr,
          />>> RUN --device[\s\S]*ERR_TSBUILD_NOT_ALLOWED: .*vendor\.test\/zeros=one\n.*--allow device=vendor\.test\/zeros=one/,
        );
        assert.doesNotMatch(stderr, /^#/m);
      }
      const aliased = await build('RUN --device=zeros head -c 1 /dev/nothing | wc -c', '--allow=device=vendor.test/zeros=one,alias=zeros');
      assert.match(aliased.stderr, / 1\n/);
      const free = await build('RUN --device=vendor.test/free echo "$FREE"; head -c 4 /dev/free | wc -c');
      assert.match(free.stderr, / yes\n.* 4\n/);
      const { code, stderr } = await build('RUN true', '--allow=device=,alias=');
      assert.equal(code, 2, stderr);
    });

    it('what is not there is left out with a warning, or is an error where it is required', async () => {
      const { code, stderr } = await build('RUN --device=vendor.test/zeros=two echo without', '--allow=device');
      assert.equal(code, 0, stderr);
      assert.match(stderr, /WARNING: This machine has no device "vendor\.test\/zeros=two"[\s\S]* without\n/);
      const required = await build('RUN --device=vendor.test/zeros=two,required true', '--allow=device');
      assert.equal(required.code, 1);
      assert.match(required.stderr, />>> RUN[\s\S]*ERR_TSBUILD_DEVICE_NOT_FOUND: .*vendor\.test\/free=0.*\n.*broken\.json/);
      const gone = await build('RUN --device=vendor.test/zeros=gone true', '--allow=device');
      assert.match(gone.stderr, /ERR_TSBUILD_DEVICE_INVALID: .*\/dev\/not-there-either: this machine has nothing there/);
      const hooked = await build('RUN --device=vendor.test/zeros=hooked true', '--allow=device');
      assert.match(hooked.stderr, />>> RUN[\s\S]*ERR_TSBUILD_UNSUPPORTED: .*vendor\.test\/zeros=hooked: the hook "createContainer"/);
    });

    it('a step counts the names of its devices to what it is', async () => {
      const line = 'RUN --device=vendor.test/free date +%N';
      assert.doesNotMatch((await build(line)).stderr, /CACHED/);
      assert.match((await build(line)).stderr, /CACHED/);
      for (const other of ['RUN date +%N', line.replace('free', 'free,required'), line.replace('free', 'free=*')]) {
        assert.doesNotMatch((await build(other)).stderr, /CACHED/);
      }
    });

    it('doctor lists the devices, and tells of a file that cannot be used', async () => {
      const { stdout } = await world.tsbuild(['doctor', '--format', 'json'], { env });
      const { findings } = JSON.parse(stdout) as { findings: { id: string; state: string; found: string; means: string }[] };
      const devices = findings.find(({ id }) => id === 'surroundings.devices');
      assert.equal(devices?.state, 'limited');
      assert.match(devices.found, /^vendor\.test\/free=0, vendor\.test\/zeros=gone, .*vendor\.test\/zeros=one/);
      assert.match(devices.means, /broken\.json/);
    });

    it('run --device takes paths and names, and no limits that it cannot keep', async () => {
      const script = 'head -c 5 /dev/mine | wc -c; head -c 5 /dev/free | wc -c; echo $FREE';
      const { stdout, stderr } = await run(
        '--device=/dev/zero:/dev/mine:rwm',
        '--device=vendor.test/free=0',
        'busybox',
        'sh',
        '-c',
        script,
      );
      assert.equal(stdout, '5\n5\nyes\n', stderr);
      for (const [device, message] of [
        ['/dev/zero:r', /USAGE.*no device cgroup/],
        ['/dev/none', /DEVICE_INVALID.*nothing there/],
        ['/etc/passwd', /DEVICE_INVALID.*something else/],
        ['vendor.test/none=0', /DEVICE_NOT_FOUND/],
        ['/dev/zero:/proc/x', /MOUNT_INVALID/],
      ] as const) {
        const refused = await run(`--device=${device}`, 'busybox', 'true');
        assert.notEqual(refused.code, 0);
        assert.match(refused.stderr, message);
      }
    });
  });
}
