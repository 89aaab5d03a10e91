import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { basicAuth, blobOf, chunked, dockerConfig, noise, openTestClient, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { type EmulatedRegistry, type Habits, startEmulatedRegistry } from './emulated-registry.ts';

/** A second of the tokens' clock lasts so many milliseconds. */
const SECOND = 150;
const MIB = 1024 * 1024;
const BYTES = noise(9 * MIB, 3);
const BLOB = blobOf(BYTES);

interface World extends AsyncDisposable {
  readonly registry: EmulatedRegistry;
  /** Tokens that were given. */
  readonly given: number;
}

interface Tokens {
  /** Seconds. */
  readonly ttl: number;
  /** What the token server says of the time, where it differs. */
  readonly said?: number;
  /** Its answers in order, before it works (again). */
  readonly failures?: readonly number[];
  /** After so many tokens it fails for good. */
  readonly diesAfter?: number;
  /** Tokens after the first are good for nothing. */
  readonly isNarrower?: boolean;
}

async function startWorld(tokens: Tokens, habits: Habits & { readonly early?: boolean }): Promise<World> {
  const good = new Map<string, number>();
  const failures = [...(tokens.failures ?? [])];
  let given = 0;
  const server = createServer((_request, response) => {
    const failure = given >= (tokens.diesAfter ?? Number.POSITIVE_INFINITY) ? 503 : failures.shift();
    if (failure !== undefined) return void response.writeHead(failure).end('{}');
    given += 1;
    // A token of no time at all is good for the request that it was asked for.
    if (tokens.isNarrower !== true || given === 1) good.set(`Bearer t${given}`, Date.now() + tokens.ttl * SECOND);
    response.end(JSON.stringify({ token: `t${given}`, expires_in: tokens.said ?? tokens.ttl }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const accepts = (header = ''): boolean => (tokens.ttl === 0 ? good.delete(header) : (good.get(header) ?? 0) > Date.now());
  const challenge = `Bearer realm="http://127.0.0.1:${port}/token",service="test",scope="repository:app:pull,push"`;
  const registry = await startEmulatedRegistry({ restMs: 25, ...habits, auth: { challenge, accepts, early: habits.early === true } });
  return {
    registry,
    get given() {
      return given;
    },
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

function clientOf(registry: EmulatedRegistry) {
  const start = Date.now();
  return openTestClient({
    retry: { sleep: async () => {}, now: () => start + ((Date.now() - start) * 1000) / SECOND },
    dockerConfigDir: dockerConfig({ auths: { [registry.host]: basicAuth('ann', 'SECRET') } }),
  });
}

const open = () => chunked(BYTES, MIB / 4);

const WAYS: readonly (readonly [string, Habits])[] = [
  ['one PUT', {}],
  ['PATCH and PUT', { ways: ['patch'] }],
  ['pieces', { ways: ['pieces'] }],
];

describe('X25: tokens that expire while a blob is sent', { timeout: 60_000, concurrency: 8 }, () => {
  for (const ttl of [0, 1, 5]) {
    for (const [way, habits] of WAYS) {
      for (const early of [false, true]) {
        for (const said of [ttl, 300]) {
          test(`of ${ttl} s, said to be ${said} s, in ${way}, refused ${early ? 'at once' : 'after the body'}: the blob arrives`, async () => {
            await using world = await startWorld({ ttl, said }, { ...habits, early });
            await using client = clientOf(world.registry);
            assert.equal(await client.pushBlob(refOf(world.registry.host, 'app:1'), BLOB, open, []), 'pushed');
            assert.ok(world.registry.blobs.get(`app ${BLOB.digest}`)?.equals(BYTES));
            countScenarios('X25 token expiry', 1);
          });
        }
      }
    }
  }
  for (const failures of [[503], [500, 502, 504], [429]]) {
    test(`with a token server that answers ${failures} first: the blob arrives`, async () => {
      await using world = await startWorld({ ttl: 1, failures }, { ways: ['pieces'] });
      await using client = clientOf(world.registry);
      assert.equal(await client.pushBlob(refOf(world.registry.host, 'app:1'), BLOB, open, []), 'pushed');
      countScenarios('X25 token expiry', 1);
    });
  }
  test('with a token server that dies meanwhile: an error that names it, after five requests', async () => {
    await using world = await startWorld({ ttl: 1, diesAfter: 2 }, { ways: ['pieces'] });
    await using client = clientOf(world.registry);
    await assert.rejects(client.pushBlob(refOf(world.registry.host, 'app:1'), BLOB, open, []), {
      code: 'ERR_TSBUILD_REGISTRY_ERROR',
      message: /the token server 127\.0\.0\.1:\d+ answered 503/,
    });
    countScenarios('X25 token expiry', 1);
  });
  test('and whose successors are good for nothing: 401, and at most three tokens for one request', async () => {
    await using world = await startWorld({ ttl: 1, isNarrower: true }, { ways: ['pieces'] });
    await using client = clientOf(world.registry);
    await assert.rejects(client.pushBlob(refOf(world.registry.host, 'app:1'), BLOB, open, []), {
      code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED',
    });
    assert.ok(world.given <= 1 + 3, `${world.given} tokens`);
    countScenarios('X25 token expiry', 1);
  });
  test('a registry that always says 401 is asked at most three times', async () => {
    await using world = await startWorld({ ttl: -1 }, {});
    await using registry = await startEmulatedRegistry({ auth: { challenge: `Bearer realm="http://127.0.0.1:1/"`, accepts: () => false } });
    await using client = clientOf(registry);
    const reference = refOf(registry.host, 'app:1');
    await assert.rejects(client.hasBlob(reference, BLOB));
    assert.equal(registry.seen.length, 1);
    await using other = clientOf(world.registry);
    world.registry.seen.length = 0;
    await assert.rejects(other.hasBlob(refOf(world.registry.host, 'app:1'), BLOB), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
    assert.ok(world.registry.seen.length <= 3, `${world.registry.seen.length} requests`);
    countScenarios('X25 token expiry', 2);
  });
});
