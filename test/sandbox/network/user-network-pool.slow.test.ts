/** Networks of an ordinary user's steps, by pasta and by slirp4netns, to a world that the test makes. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const POOL = new URL('../../../src/sandbox/network/user-network-pool.js', import.meta.url).href;
const name = `tsn${randomBytes(4).toString('hex')}`;
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' }).trim();

describe('openUserNetworkPool()', () => {
  let uid = 0;
  let world: ChildProcess;
  let tunMode = 0;

  before(async () => {
    run('useradd', '--no-create-home', '-K', 'SUB_UID_COUNT=0', '-K', 'SUB_GID_COUNT=0', name);
    run('usermod', '--add-subuids', '500000-565535', '--add-subgids', '500000-565535', name);
    uid = Number(run('id', '-u', name));
    // udev's mode, which a machine without udev lacks.
    tunMode = statSync('/dev/net/tun').mode & 0o777;
    chmodSync('/dev/net/tun', 0o666);
    run('ip', 'netns', 'add', name);
    run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    run('ip', 'addr', 'add', '198.18.53.2/30', 'dev', name);
    run('ip', 'link', 'set', name, 'up');
    run('ip', '-n', name, 'addr', 'add', '198.18.53.1/30', 'dev', 'eth0');
    run('ip', '-n', name, 'link', 'set', 'eth0', 'up');
    const server = `require('net').createServer((peer) => peer.end('you are ' + peer.remoteAddress + '\\n')).listen(7777, '198.18.53.1', () => console.log('ready'))`;
    world = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', server], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => world.stdout?.once('data', resolve));
  });

  after(() => {
    world.kill('SIGKILL');
    run('ip', 'link', 'del', name);
    run('ip', 'netns', 'del', name);
    chmodSync('/dev/net/tun', tunMode);
    run('userdel', name);
  });

  for (const connector of ['pasta', 'slirp4netns']) {
    it(`reaches the world by ${connector}, under the address of the machine`, async () => {
      const { stdout } = await inNetwork(`['${connector}']`, connect(['198.18.53.1'], 7777));
      assert.equal(stdout, 'you are 198.18.53.2\n');
    });

    it(`L4 keeps the loopback of the machine out of reach by ${connector}`, async () => {
      await using listener = await listenOnLoopback();
      const { stdout } = await inNetwork(
        `['${connector}']`,
        `${connect(['127.0.0.1', '10.0.2.2', '10.0.2.3', ...gateways()], listener.port)}; echo done`,
      );
      assert.equal(stdout, 'done\n');
      assert.equal(listener.visits(), 0);
    });
  }

  it('gives each step a network that reaches no other step', async () => {
    const probe = "a=$(ip -4 -o addr show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'); echo $a";
    const script = `
      const one = await pool.take(), two = await pool.take();
      const address = inside(one, ${JSON.stringify(probe)});
      console.log(address !== '' && address !== inside(two, ${JSON.stringify(probe)}));
      console.log(inside(two, 'busybox ping -c 1 -W 1 ' + address + ' >/dev/null && echo reached || echo no way'));`;
    const { stdout } = await withPool('undefined', script);
    assert.equal(stdout, 'true\nno way\n');
  });

  it('leaves no process when its own is killed', async () => {
    const child = start('undefined', "await pool.take(); console.log('taken'); setInterval(() => {}, 1000);");
    try {
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      // pasta goes by other names where the processor can do more.
      assert.match(processesOf(uid), /pasta|passt|slirp4netns/);
    } finally {
      child.kill('SIGKILL');
    }
    for (let wait = 0; wait < 250 && processesOf(uid) !== ''; wait++) await sleep(20);
    assert.equal(processesOf(uid), '');
  });

  it('says what to install where there is nothing', async () => {
    const { stdout } = await withPool('[]', 'await pool.take().catch((error) => console.log(error.code, error.hint));');
    assert.match(stdout, /^ERR_TSBUILD_NETWORK_SETUP Install one \(apt-get install passt\)/);
  });

  const inNetwork = (connectors: string, command: string) =>
    withPool(connectors, `process.stdout.write(inside(await pool.take(), ${JSON.stringify(command)}) + '\\n');`);

  async function withPool(connectors: string, script: string): Promise<{ stdout: string }> {
    const child = start(connectors, `${script}\npool.close();`);
    let stdout = '';
    child.stdout?.on('data', (data) => {
      stdout += String(data);
    });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    assert.equal(code, 0);
    return { stdout };
  }

  /** A process of the user in a user namespace with a range of ids, as tsbuild is one. */
  function start(connectors: string, script: string): ChildProcess {
    const prelude = `
      import { spawnSync } from 'node:child_process';
      import { openUserNetworkPool } from '${POOL}';
      const pool = openUserNetworkPool({ connectors: ${connectors}, emit: () => {} });
      const inside = ({ netnsFd }, command) =>
        spawnSync('nsenter', ['--net=/proc/' + process.pid + '/fd/' + netnsFd, 'sh', '-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).stdout.trim();`;
    const user = [`--reuid=${uid}`, `--regid=${run('id', '-g', name)}`, '--clear-groups'];
    const namespace = ['unshare', '--user', '--map-root-user', '--map-users=auto', '--map-groups=auto'];
    return spawn('setpriv', [...user, ...namespace, process.execPath, '--input-type=module', '-e', prelude + script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    });
  }
});

/** Prints what those that answer say; nobody has longer than a second. */
function connect(addresses: readonly string[], port: number): string {
  const script = addresses.map(
    (host) =>
      `socket = require("net").connect({ host: "${host}", port: ${port} }); socket.on("data", (data) => process.stdout.write(data)).on("error", () => {}).setTimeout(1000, function () { this.destroy(); });`,
  );
  return `${process.execPath} -e 'let socket; ${script.join(' ')}'`;
}

/** Of the machine: its loopback must not answer under them. */
function gateways(): string[] {
  return run('ip', '-4', 'route', 'show', 'default').split(' ').slice(2, 3);
}

function processesOf(uid: number): string {
  try {
    return run('ps', '-o', 'comm=', '-U', String(uid));
  } catch {
    return '';
  }
}

async function listenOnLoopback(): Promise<{ port: number; visits(): number } & AsyncDisposable> {
  let visits = 0;
  const server = createServer((peer) => {
    visits++;
    peer.end('in\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('A listening server has an address');
  return {
    port: address.port,
    visits: () => visits,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
