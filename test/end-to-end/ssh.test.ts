/** RUN --mount=type=ssh with OpenSSH's own agent and clients. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandResult, makeWorld, type World } from './_world.ts';

const TOOLS = ['/usr/bin/ssh-add', '/usr/bin/ssh-keygen'];
const skip = TOOLS.every((tool) => existsSync(tool)) ? false : 'OpenSSH is not there';

let world: World;
let agent: ChildProcess;
let socket: string;
let context: string;
let key: string;

before(async () => {
  if (skip !== false) return;
  world = await makeWorld();
  key = path.join(world.directory, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'in-agent', '-f', key]);
  socket = path.join(world.directory, 'a.sock');
  agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  while (!existsSync(socket)) await sleep(10);
  execFileSync('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
  context = world.context({ message: 'hello' });
  for (const file of [...TOOLS, ...librariesOf(TOOLS)]) {
    mkdirSync(path.join(context, 'root', path.dirname(file)), { recursive: true });
    cpSync(file, path.join(context, 'root', file), { dereference: true });
  }
  cpSync(`${key}.pub`, path.join(context, 'root/key.pub'));
});
after(async () => {
  if (skip !== false) return;
  agent.kill();
  await world[Symbol.asyncDispose]();
});

function librariesOf(programs: readonly string[]): string[] {
  return programs.flatMap((program) =>
    [...execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map(([, file = '']) => file),
  );
}

async function build(steps: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const file = path.join(world.directory, 'Dockerfile');
  writeFileSync(file, `FROM busybox\nCOPY root /\n${steps}\n`);
  return await world.tsbuild(['--progress=plain', '-t', 'ssh', '-f', file, ...args, context], {
    env: { ...process.env, SSH_AUTH_SOCK: undefined, ...env },
  });
}

describe('RUN --mount=type=ssh', { skip }, () => {
  test('C9 lets a step list keys and sign with the agent of the session, and no longer than the step', async () => {
    const { code, stderr } = await build(
      [
        'RUN --mount=type=ssh echo at $SSH_AUTH_SOCK; stat -c "%a %u %g %F" $SSH_AUTH_SOCK; ssh-add -l; echo text > /m; ssh-keygen -q -Y sign -n test -f /key.pub /m; ssh-keygen -Y check-novalidate -n test -s /m.sig < /m',
        'RUN echo [$SSH_AUTH_SOCK]; ls /run 2>&1; true',
      ].join('\n'),
      ['--ssh', 'default'],
      { SSH_AUTH_SOCK: socket },
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, / at \/run\/buildkit\/ssh_agent\.0\n/);
    assert.match(stderr, / 600 0 0 socket\n/);
    assert.match(stderr, /256 SHA256:\S+ in-agent \(ED25519\)/);
    assert.match(stderr, /Good "test" signature/);
    assert.match(stderr, / \[\]\n/);
    assert.match(stderr, /\/run: No such file/);
  });

  test('lets a step in a chroot sign, too', async () => {
    const { code, stderr } = await build(
      'RUN --mount=type=ssh,target=/agent,mode=0640,uid=3 stat -c "%a %u %F" /agent; ssh-add -l\nRUN test ! -e /agent',
      ['--isolation=chroot', '--ssh', `default=${socket}`],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, / 640 3 socket\n[\s\S]*256 SHA256:\S+ in-agent/);
  });

  test('refuses everything else: no step adds, removes or locks keys', async () => {
    const { code, stderr } = await build('RUN --mount=type=ssh ssh-add -D; ssh-add -x </dev/null; ssh-add -d /key.pub; ssh-add -l', [
      '--no-cache',
      '--ssh',
      `default=${socket}`,
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /refused|Failed/i);
    assert.match(stderr, /in-agent/);
  });

  test('takes key files, which only an agent sees', async () => {
    const { code, stderr } = await build(
      'RUN --mount=type=ssh,id=k,target=/agent,uid=1000,gid=1000,mode=0660 stat -c "%a %u %g" /agent; ssh-add -l; find / -xdev -name "key*"',
      ['--ssh', `k=${key}`],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, / 660 1000 1000\n/);
    assert.match(stderr, /in-agent \(ED25519\)/);
    assert.match(stderr, / \/key\.pub\n/);
    assert.doesNotMatch(stderr, / \/key\n/);
    const secret = readFileSync(key, 'utf8').split('\n')[2] ?? '';
    assert.ok(!stderr.includes(secret));
    await sleep(300);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith('tsbuild-ssh-')),
      [],
    );
  });

  test('is nothing where no agent was given, unless it is required', async () => {
    const missing = await build('RUN --mount=type=ssh echo [$SSH_AUTH_SOCK]; ls /run');
    assert.match(missing.stderr, / \[\]\n/);
    const required = await build('RUN --mount=type=ssh,required true');
    assert.equal(required.code, 1);
    assert.match(required.stderr, /ERR_TSBUILD_SECRET_INVALID: Cannot run this step without the SSH agent "default"/);
  });

  test('says what is wrong with what it is given', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'passphrase', '-f', `${key}-locked`]);
    for (const [args, message] of [
      [['--ssh', 'default'], /USAGE: .*SSH_AUTH_SOCK is not set/],
      [['--ssh', 'default=/no/such'], /SECRET_INVALID: .*\/no\/such is not there/],
      [['--ssh', `default=${key}-locked`], /SECRET_INVALID: .*passphrase/],
    ] as const) {
      const { code, stderr } = await build('RUN --mount=type=ssh,required true', args);
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }
  });
});
