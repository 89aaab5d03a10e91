/**
 * X24: name servers that never answer and addresses that swallow what is sent to them, each in a network namespace of its own. Nobody is
 * at the other end of its interface, which asks no neighbour for an address: so packets leave, and nothing comes back.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { countScenarios } from './_scenarios.ts';
import { temporaryDirectory } from './_temporary.ts';

const PROGRAM = join(import.meta.dirname, '_pull-in-silence.js');
const SETUP = `
  ip link set lo up
  ip link add lost0 type veth peer name lost1
  ip link set lost0 arp off
  ip link set lost1 arp off
  ip addr add 198.51.100.1/24 dev lost0
  ip -6 addr add 2001:db8::1/64 dev lost0 nodad
  ip link set lost0 up
  ip link set lost1 up
  mount --bind "$1/hosts" /etc/hosts
  mount --bind "$1/resolv.conf" /etc/resolv.conf
  mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
  shift
  exec "$@"`;

interface Outcome {
  readonly code?: string;
  readonly message?: string;
  readonly isWhole: boolean;
  readonly ms: number;
}

interface Way {
  /** Addresses of `registry.example`, in their order. */
  readonly addresses: readonly string[];
  readonly connectMs?: number;
  readonly attempts?: number;
  /** How long the resolver waits for an answer. */
  readonly resolverSeconds?: number;
}

/** `fetch`: as ADD does. */
async function reach(kind: 'pull' | 'fetch', { addresses, connectMs = 1500, attempts = 1, resolverSeconds = 1 }: Way): Promise<Outcome> {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'hosts'), ['127.0.0.1 localhost', ...addresses.map((address) => `${address} registry.example`)].join('\n'));
  writeFileSync(join(directory, 'resolv.conf'), `nameserver 198.51.100.53\noptions timeout:${resolverSeconds} attempts:1\n`);
  writeFileSync(join(directory, 'nsswitch.conf'), 'hosts: files dns\n');
  const program = [process.execPath, PROGRAM, kind, 'registry.example:5000', String(connectMs), String(attempts)];
  const { HTTP_PROXY: _, http_proxy: __, ALL_PROXY: ___, all_proxy: ____, ...env } = process.env;
  const args = ['-mn', 'sh', '-euc', SETUP, 'sh', directory, ...program];
  const { stdout } = await promisify(execFile)('unshare', args, { env, timeout: 70_000 });
  return JSON.parse(stdout) as Outcome;
}

const SILENT4 = '198.51.100.7';
const SILENT6 = '2001:db8::7';
const GOOD4 = '127.0.0.1';

test('a name server that never answers is an error that names the host', async (t) => {
  const outcome = await reach('pull', { addresses: [], connectMs: 20_000 });
  assert.equal(outcome.code, 'ERR_TSBUILD_REGISTRY_UNREACHABLE');
  assert.match(outcome.message ?? '', /registry\.example:5000: the name server does not answer$/);
  t.diagnostic(`${outcome.ms} ms`);
  countScenarios('X24 lost packets', 1);
});

test('a name server that answers later than a connection may take ends with the connection’s time', async (t) => {
  const outcome = await reach('pull', { addresses: [], connectMs: 300, resolverSeconds: 4 });
  assert.match(outcome.message ?? '', /registry\.example:5000: no connection in time$/);
  t.diagnostic(`${outcome.ms} ms`);
  countScenarios('X24 lost packets', 1);
});

for (const [what, addresses] of [
  ['an address', [SILENT4]],
  ['an IPv6 address', [SILENT6]],
  ['addresses of both families', [SILENT6, SILENT4]],
] as const) {
  test(`${what} that swallows what is sent ends in time, as often as is asked for, and names the host`, async (t) => {
    const outcome = await reach('pull', { addresses, connectMs: 1000, attempts: 2 });
    assert.equal(outcome.code, 'ERR_TSBUILD_REGISTRY_UNREACHABLE');
    assert.match(outcome.message ?? '', /: registry\.example:5000: (no connection in time|the connection timed out)$/);
    t.diagnostic(`${outcome.ms} ms`);
    countScenarios('X24 lost packets', 1);
  });
}

for (const [what, addresses] of [
  ['an IPv6 address', [SILENT6, GOOD4]],
  ['several IPv6 addresses', [SILENT6, '2001:db8::8', '2001:db8::9', GOOD4]],
  ['an IPv4 address', [SILENT4, GOOD4]],
] as const) {
  for (const kind of ['pull', 'fetch'] as const) {
    test(`${what} that swallows what is sent does not keep a ${kind} from another that answers`, async (t) => {
      const outcome = await reach(kind, { addresses, connectMs: 5000 });
      assert.deepEqual([outcome.message, outcome.isWhole], [undefined, true]);
      // Longer, and it would have failed: connecting may take as long for all addresses together.
      t.diagnostic(`${outcome.ms} ms`);
      countScenarios('X24 lost packets', 1);
    });
  }
}
