import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeRepository } from './_git.ts';
import { emptyWorld, type World } from './_world.ts';

const SSHD = '/usr/sbin/sshd';

interface SshServer extends Disposable {
  readonly port: number;
  /** Environment of a caller who knows the host and whose agent has the key. */
  readonly env: Record<string, string>;
}

/** A real sshd on this machine, for one key that a real agent holds. */
async function serveSsh(world: World): Promise<SshServer> {
  const directory = path.join(world.directory, 'ssh');
  mkdirSync(path.join(directory, 'home/.ssh'), { recursive: true });
  mkdirSync('/run/sshd', { recursive: true });
  const port = 20_000 + (process.pid % 20_000);
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(directory, name)]);
  const config = { Port: port, ListenAddress: '127.0.0.1', HostKey: `${directory}/host`, AuthorizedKeysFile: `${directory}/user.pub` };
  const settings = { ...config, PidFile: 'none', StrictModes: 'no', UsePAM: 'no', PermitRootLogin: 'yes', PasswordAuthentication: 'no' };
  writeFileSync(
    path.join(directory, 'config'),
    Object.entries(settings)
      .map(([key, value]) => `${key} ${value}\n`)
      .join(''),
  );
  const known = readFileSync(path.join(directory, 'host.pub'), 'utf8');
  writeFileSync(path.join(directory, 'home/.ssh/known_hosts'), `[127.0.0.1]:${port} ${known}`);
  const socket = path.join(directory, 'agent');
  const daemon = spawn(SSHD, ['-D', '-e', '-f', path.join(directory, 'config')], { stdio: 'ignore' });
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  for (let wait = 0; wait < 600 && !(existsSync(socket) && (await listens(port))); wait++) await sleep(50);
  execFileSync('ssh-add', ['-q', path.join(directory, 'user')], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
  return {
    port,
    env: { HOME: path.join(directory, 'home'), SSH_AUTH_SOCK: socket },
    [Symbol.dispose]() {
      daemon.kill('SIGKILL');
      agent.kill('SIGKILL');
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

test('a context over ssh is read with the agent of the caller, from a host that the caller knows', {
  skip: existsSync(SSHD) ? false : 'no sshd (apt-get install openssh-server)',
}, async () => {
  await using world = emptyWorld();
  const app = makeRepository(world.directory, 'app.git', { Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'over ssh' });
  using ssh = await serveSsh(world);
  const address = `ssh://root@127.0.0.1:${ssh.port}${app}`;
  await world.succeed([address], { env: ssh.env });
  const added = world.context({ Dockerfile: `FROM scratch\nADD ${address} /w\n` });
  await world.succeed(['--ssh', `default=${ssh.env['SSH_AUTH_SOCK']}`, added], { env: { HOME: ssh.env['HOME'] } });
  const uninvited = await world.tsbuild(['--no-cache', added], { env: ssh.env });
  assert.match(uninvited.stderr, /FETCH_FAILED.*Permission denied/s);
  const stranger = await world.tsbuild([address], { env: { ...ssh.env, HOME: world.directory } });
  assert.match(stranger.stderr, /FETCH_FAILED.*[Hh]ost key/s);
  const keyless = await world.tsbuild([address], { env: { ...ssh.env, SSH_AUTH_SOCK: undefined } });
  assert.match(keyless.stderr, /FETCH_FAILED.*Permission denied/s);
});
