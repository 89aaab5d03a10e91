import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { type NetworkPool, openNetworkPool, type StepNetwork } from '../../../src/sandbox/network/network-pool.ts';
import { runIn, stepLinks, tablesOf, until } from './_host-state.ts';

/** Connects and says how that ended: `ok`, or the error's code. */
const CONNECT = `const [host, port] = process.argv.slice(1);
  const socket = require('net').connect({ host, port, timeout: 1500 });
  const end = (text) => { console.log(text); process.exit(); };
  socket.on('connect', () => end('ok')).on('error', (e) => end(e.code)).on('timeout', () => end('timeout'));`;
const SERVE = `require('net').createServer((s) => s.end()).listen(8080, '0.0.0.0', () => console.log('listening'));`;
/** Sends one ping (ICMP echo) by a raw packet socket of the kernel's own; busybox has it built in. */
const PING = ['busybox', 'ping', '-c', '1', '-W', '1'];

describe('openNetworkPool()', () => {
  let pool: NetworkPool;
  let first: StepNetwork;
  let second: StepNetwork;

  before(async () => {
    pool = openNetworkPool();
    first = await pool.take();
    second = await pool.take();
  });
  after(() => {
    first.release();
    second.release();
    pool.close();
  });

  it('take() gives a network with a loopback and one private IPv4 address, at the size of the uplink', () => {
    const { output } = runIn(first.netnsFd, 'ip', '-json', 'address');
    const links = JSON.parse(output) as { ifname: string; mtu: number; operstate: string; addr_info: { local: string }[] }[];
    const [loopback = assert.fail(), uplink = assert.fail()] = links;
    assert.deepEqual(
      loopback.addr_info.map(({ local }) => local),
      ['127.0.0.1', '::1'],
    );
    assert.deepEqual([links.length, uplink.ifname, uplink.operstate, uplink.addr_info.length], [2, 'eth0', 'UP', 1]);
    assert.equal(uplink.mtu, uplinkMtu());
    assert.match(uplink.addr_info[0]?.local ?? '', /^(10|172|192|198)\./);
    assert.match(runIn(first.netnsFd, 'ip', 'route').output, /^default via \S+ dev eth0/);
    assert.equal(runIn(first.netnsFd, 'ip', '-6', 'route', 'show', 'default').output, '');
    assert.deepEqual(runIn(first.netnsFd, ...PING, '127.0.0.1').status, 0);
  });

  it('take() gives a network of its own each time', () => {
    const [one, two] = [addressOf(first), addressOf(second)];
    assert.notEqual(one, two);
  });

  it('take() gives a network that names are resolved and fetched through', (context) => {
    const mirror = mirrorHost();
    if (spawnSync('getent', ['ahostsv4', mirror]).status !== 0) {
      context.skip(`OFFLINE: this machine cannot resolve ${mirror}`);
      return;
    }
    const resolved = runIn(first.netnsFd, 'getent', 'ahostsv4', mirror);
    assert.equal(resolved.status, 0, resolved.output);
    assert.match(resolved.output, /^\d+\.\d+\.\d+\.\d+ /);
    const connected = runIn(first.netnsFd, process.execPath, '-e', CONNECT, mirror, '80');
    assert.equal(connected.output.trim(), 'ok');
    assert.match(first.resolvConf, /^nameserver /m);
  });

  it('L4 take() gives a network that reaches neither the loopback nor the addresses of the machine', async (context) => {
    const server = await listen();
    const { port } = server.address() as { port: number };
    try {
      const own = machineAddresses();
      context.diagnostic(`tried 127.0.0.1 and ${own.join(', ')}`);
      for (const host of ['127.0.0.1', gatewayOf(first), ...own]) {
        const from = await connectIn(first, host, port);
        assert.equal(from, 'ECONNREFUSED', host);
      }
      const here = spawnSync(process.execPath, ['-e', CONNECT, '127.0.0.1', String(port)], { encoding: 'utf8' });
      assert.notEqual(here.status, null);
    } finally {
      server.close();
    }
  });

  it('L6 take() gives networks that do not reach one another, while the machine reaches both', async () => {
    const server = spawn('nsenter', [`--net=/proc/${process.pid}/fd/${second.netnsFd}`, process.execPath, '-e', SERVE], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await firstOutput(server);
      assert.equal(await connectIn(first, addressOf(second), 8080), 'ECONNREFUSED');
      assert.notEqual(runIn(first.netnsFd, ...PING, addressOf(second)).status, 0);
      assert.equal(await connectHere(addressOf(second), 8080), 'ok');
      assert.equal(await connectIn(second, addressOf(second), 8080), 'ok');
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('take() gives networks of two pools that do not reach one another', async () => {
    const other = openNetworkPool();
    const network = await other.take();
    try {
      assert.notEqual(addressOf(network), addressOf(first));
      assert.notEqual(runIn(network.netnsFd, ...PING, addressOf(first)).status, 0);
      assert.notEqual(runIn(first.netnsFd, ...PING, addressOf(network)).status, 0);
    } finally {
      network.release();
      other.close();
    }
  });

  it('L6 take() gives a network that cannot speak for the address of another', (context) => {
    const mirror = mirrorHost();
    if (spawnSync('getent', ['ahostsv4', mirror]).status !== 0) {
      context.skip('OFFLINE');
      return;
    }
    const forged = addressOf(second);
    runIn(first.netnsFd, 'ip', 'address', 'add', `${forged}/32`, 'dev', 'lo');
    const script = `const socket = require('net').connect({ host: ${JSON.stringify(mirror)}, port: 80, localAddress: process.argv[1], timeout: Number(process.argv[2]) });
      socket.on('connect', () => { console.log('ok'); process.exit(); }).on('error', (e) => console.log(e.code)).on('timeout', () => { console.log('timeout'); process.exit(); });`;
    assert.equal(runIn(first.netnsFd, process.execPath, '-e', script, addressOf(first), '15000').output.trim(), 'ok');
    const refusedBefore = reversePathRefusals();
    assert.equal(runIn(first.netnsFd, process.execPath, '-e', script, forged, '1500').output.trim(), 'timeout');
    assert.ok(reversePathRefusals() > refusedBefore);
    runIn(first.netnsFd, 'ip', 'address', 'del', `${forged}/32`, 'dev', 'lo');
  });

  it('take() leaves the machine without the global switch for forwarding', () => {
    assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', { encoding: 'utf8' }), forwardedBefore);
  });
});

describe('release() and close()', () => {
  it('release() ends the interfaces, and close() the table', async (context) => {
    const before = stepLinks();
    const pool = openNetworkPool();
    const network = await pool.take();
    const added = stepLinks().filter((name) => !before.includes(name));
    assert.equal(added.length, 1);
    assert.equal(tablesOf(process.pid).length, 1);
    network.release();
    network.release();
    const tookMs = await until(() => stepLinks().every((name) => !added.includes(name)), 2000);
    context.diagnostic(`veth gone ${tookMs.toFixed()} ms after release()`);
    const descriptors = readdirSync('/proc/self/fd').length;
    pool.close();
    pool.close();
    assert.ok(readdirSync('/proc/self/fd').length < descriptors);
    await until(() => tablesOf(process.pid).length === 0, 2000);
    await assert.rejects(pool.take(), /closed/);
  });

  it('close() comes with the abort of the signal', async () => {
    const controller = new AbortController();
    const pool = openNetworkPool({ signal: controller.signal });
    (await pool.take()).release();
    controller.abort();
    await assert.rejects(pool.take(), { name: 'AbortError' });
    await until(() => tablesOf(process.pid).length === 0 && stepLinks().length === 0, 2000);
  });

  it('take() and release() of 100 networks leak no descriptor', async () => {
    const pool = openNetworkPool();
    (await pool.take()).release();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = readdirSync('/proc/self/fd').length;
    for (let count = 0; count < 100; count++) (await pool.take()).release();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(readdirSync('/proc/self/fd').length, before);
    pool.close();
    await until(() => stepLinks().length === 0, 5000);
  });

  it('take() is quick when prepared', async (context) => {
    const pool = openNetworkPool();
    const firstMs = await timed(pool);
    const unpreparedMs: number[] = [];
    const preparedMs: number[] = [];
    for (let count = 0; count < 30; count++) unpreparedMs.push(await timed(pool));
    for (let count = 0; count < 30; count++) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      preparedMs.push(await timed(pool));
    }
    pool.close();
    context.diagnostic(
      `take(): first ${firstMs.toFixed(1)} ms, unprepared ${median(unpreparedMs)} ms, prepared ${median(preparedMs)} ms (medians of 30)`,
    );
    await until(() => stepLinks().length === 0, 5000);
  });
});

describe('take() where it cannot do everything', () => {
  const module = new URL('../../../src/sandbox/network/network-pool.js', import.meta.url).pathname;
  const script = `const { openNetworkPool } = await import(${JSON.stringify(module)});
    const { spawnSync } = await import('node:child_process');
    const pool = openNetworkPool({ emit: (event) => console.log(event.message) });
    try {
      const network = await pool.take();
      const command = ['--net=/proc/' + process.pid + '/fd/' + network.netnsFd, 'ip', '-brief', 'address'];
      console.log(spawnSync('nsenter', command, { encoding: 'utf8' }).stdout.replace(/ +/g, ' '));
    } catch (error) { console.log(error.code, error.hint !== undefined); }`;

  it('take() gives a network with a loopback only, and a warning, on a machine that is offline', () => {
    const { stdout, stderr } = spawnSync('unshare', ['--net', process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(stdout, 'This machine has no route to anywhere: steps run offline\nlo UNKNOWN 127.0.0.1/8 ::1/128 \n\n', stderr);
  });

  it('take() rejects with PRIVILEGE and a hint for an ordinary user', () => {
    const asUser = `process.setgid(65534); process.setuid(65534); ${script}`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', asUser], { encoding: 'utf8' });
    assert.equal(stdout.trim(), 'ERR_TSBUILD_PRIVILEGE true', stderr);
  });
});

const forwardedBefore = readFileSync('/proc/sys/net/ipv4/ip_forward', { encoding: 'utf8' });

async function timed(pool: NetworkPool): Promise<number> {
  const start = performance.now();
  const network = await pool.take();
  const tookMs = performance.now() - start;
  network.release();
  return tookMs;
}

function median(values: readonly number[]): string {
  return ([...values].sort((a, b) => a - b)[values.length >> 1] ?? 0).toFixed(2);
}

function addressOf(network: StepNetwork): string {
  return /inet (\S+?)\//.exec(runIn(network.netnsFd, 'ip', '-4', 'address', 'show', 'dev', 'eth0').output)?.[1] ?? assert.fail();
}

function gatewayOf(network: StepNetwork): string {
  return /default via (\S+)/.exec(runIn(network.netnsFd, 'ip', 'route').output)?.[1] ?? assert.fail();
}

function uplinkMtu(): number {
  const [name = ''] = /(?<= dev )\S+/.exec(spawnSync('ip', ['route', 'get', '1.1.1.1'], { encoding: 'utf8' }).stdout) ?? [];
  return Number(readFileSync(`/sys/class/net/${name}/mtu`, { encoding: 'utf8' }));
}

function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
}

function mirrorHost(): string {
  for (const file of [
    '/etc/apt/sources.list',
    ...readdirSync('/etc/apt/sources.list.d').map((name) => `/etc/apt/sources.list.d/${name}`),
  ]) {
    const host = /^(?:URIs:|deb)\s.*?https?:\/\/([^/\s]+)/m.exec(readOr(file))?.[1];
    if (host !== undefined) return host;
  }
  return 'localhost';
}

function readOr(file: string): string {
  try {
    return readFileSync(file, { encoding: 'utf8' });
  } catch {
    return '';
  }
}

function listen(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.end()).listen(0, '0.0.0.0', () => resolve(server));
  });
}

/** Not spawnSync: the server that is tried may be in this very process. */
function connectIn(network: StepNetwork, host: string, port: number): Promise<string> {
  return outputOf(
    spawn('nsenter', [`--net=/proc/${process.pid}/fd/${network.netnsFd}`, process.execPath, '-e', CONNECT, host, String(port)]),
  );
}

function connectHere(host: string, port: number): Promise<string> {
  return outputOf(spawn(process.execPath, ['-e', CONNECT, host, String(port)]));
}

/** How many packets the machine refused because their source lies elsewhere (proc_net(5), netstat). */
function reversePathRefusals(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', { encoding: 'utf8' }).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('IPReversePathFilter')]);
}

async function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) text += String(chunk);
  return text.trim();
}

function firstOutput(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.stdout?.once('data', () => resolve()));
}
