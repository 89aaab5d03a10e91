/** `tsbuild doctor` says what is so: of this machine, and of worse ones that are made of it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Examination, Finding } from '../../src/operations/doctor/examine.ts';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from './_world.ts';

/** Of capsh: then comes the program. */
const DROP = ['--drop=cap_sys_admin', '--', '-c', '"$0" "$@"'] as const;

describe('tsbuild doctor', () => {
  let world: World;
  let user: UserWorld;
  let single: UserWorld;

  before(async () => {
    [world, user, single] = await Promise.all([makeWorld(), makeUserWorld(), makeUserWorld({ ranges: [] })]);
  });
  after(async () => {
    for (const each of [world, user, single]) await each[Symbol.asyncDispose]();
  });

  it('finds that root can build here, in a table and in JSON', async () => {
    const { ready, findings, user: name } = await examine(world.tsbuild(['doctor', '--format', 'json']), 0);
    assert.deepEqual([ready, name], [true, 'root']);
    assert.equal(stateOf(findings, 'steps.ids'), 'ok');
    for (const finding of findings) {
      assert.match(finding.id, /^[a-z-]+\.[a-z-]+$/);
      assert.ok(finding.state === 'ok' || (finding.means !== undefined && finding.fix !== undefined), finding.id);
      assert.ok(!`${finding.found}${finding.means}${finding.fix}`.includes('\n'), finding.id);
    }
    assert.equal(new Set(findings.map(({ id }) => id)).size, findings.length);
    const table = await world.succeed(['doctor']);
    for (const { title, state } of findings) assert.match(table, new RegExp(`^  ${state} +${title.replace(/[()]/g, '\\$&')}  `, 'm'));
    assert.match(table, /\nBuilds can run as root\.$/);
  });

  it('finds that an ordinary user can build, and with how many ids', async () => {
    const { ready, findings } = await examine(user.tsbuild(['doctor', '--format', 'json']), 0);
    assert.equal(ready, true);
    assert.equal(stateOf(findings, 'rootless.ids'), 'ok');
    assert.match(foundBy(findings, 'rootless.ids'), /^65536 users and 65536 groups for tsb/);
    const one = await examine(single.tsbuild(['doctor', '--format', 'json']), 0);
    assert.equal(stateOf(one.findings, 'rootless.ids'), 'limited');
    assert.match(one.findings.find(({ id }) => id === 'rootless.ids')?.fix ?? '', /^usermod --add-subuids 100000-165535 /);
  });

  it('finds root without CAP_SYS_ADMIN able in a user namespace, and the build agrees', async () => {
    const without = async (...args: string[]) =>
      await runCommand('capsh', [...DROP, process.execPath, BIN, ...args], { env: { ...process.env, TSBUILD_ROOT: world.root } });
    const { findings } = await examine(without('doctor', '--format', 'json'), 0);
    assert.equal(stateOf(findings, 'steps.container'), 'ok');
    // What privileged root left marked in trusted.*, nobody sees in a user namespace: the same state has to do for both.
    const lines = 'FROM busybox\nRUN rm -r /home && mkdir /home\nRUN echo && ! test -e /home/app\n';
    await world.succeed(['build', '--network=none', world.context({ Dockerfile: lines })]);
    const { code, stderr } = await without('build', '--network=none', world.context({ Dockerfile: lines.replace('echo', 'true') }));
    assert.equal(code, 0, stderr);
  });

  it('finds root without CAP_SYS_ADMIN unable where it may make no namespace, and the build agrees', async () => {
    const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=clone3', '-e', 'inject=clone3:error=ENOSYS'];
    const without = async (...args: string[]) =>
      await runCommand('strace', [...strace, 'capsh', ...DROP, process.execPath, BIN, ...args], {
        env: { ...process.env, TSBUILD_ROOT: world.root },
      });
    const { ready, findings } = await examine(without('doctor', '--format', 'json'), 1);
    assert.equal(ready, false);
    assert.equal(stateOf(findings, 'surroundings.capabilities'), 'missing');
    assert.equal(stateOf(findings, 'steps.container'), 'missing');
    const { code, stderr } = await without(world.context({ Dockerfile: 'FROM busybox\nRUN true\n' }));
    assert.equal(code, 1, stderr);
  });

  it('finds a kernel that lacks a call', async () => {
    const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=openat2', '-e', 'inject=openat2:error=ENOSYS'];
    const run = runCommand('strace', [...strace, process.execPath, BIN, 'doctor', '--format', 'json'], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
    });
    const { findings } = await examine(run, 1);
    assert.equal(stateOf(findings, 'kernel.calls'), 'missing');
    assert.match(foundBy(findings, 'kernel.calls'), /^openat2: ENOSYS$/);
  });

  it('finds a state directory that cannot be written', async () => {
    const { findings } = await examine(user.tsbuild(['doctor', '--format', 'json', '--root', '/root/state']), 1);
    assert.equal(stateOf(findings, 'state.directory'), 'missing');
  });
});

async function examine(run: Promise<CommandResult>, code: number): Promise<Examination> {
  const result = await run;
  assert.equal(result.code, code, `${result.stdout}${result.stderr}`);
  return JSON.parse(result.stdout) as Examination;
}

function stateOf(findings: readonly Finding[], id: string): string | undefined {
  return findings.find((finding) => finding.id === id)?.state;
}

function foundBy(findings: readonly Finding[], id: string): string {
  return findings.find((finding) => finding.id === id)?.found ?? '';
}
