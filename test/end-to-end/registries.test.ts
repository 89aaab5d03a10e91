/** `registries.json` from the outside: a whole build whose base comes from a mirror that lies, a blocked registry, a broken file. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { makeImage, openTestClient, pushImage, refOf } from '../registry/_images.ts';
import { type FaultProxy, startFaultProxy } from '../registry/fault-proxy.ts';
import { emptyWorld, type World } from './_world.ts';

let world: World;
let registry: TestRegistry;
let mirror: FaultProxy;

before(async () => {
  world = emptyWorld();
  registry = await startRegistry();
  mirror = await startFaultProxy(registry.port);
  await using client = openTestClient();
  for (const repository of ['own/base:1', 'mirrored/base:1']) await pushImage(client, refOf(registry.host, repository), makeImage());
});
after(async () => {
  await mirror[Symbol.asyncDispose]();
  await registry.stop();
  await world[Symbol.asyncDispose]();
});

function registries(content: unknown): NodeJS.ProcessEnv {
  const file = path.join(world.directory, 'registries.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify({ registries: content }));
  return { TSBUILD_REGISTRIES: file };
}
const base = (): string => `${registry.host}/own/base:1`;
const build = (env: NodeJS.ProcessEnv) =>
  world.tsbuild(['--pull', '--progress', 'plain', '-t', 'app:1', world.context({ Dockerfile: `FROM ${base()}\nCOPY x /\n`, x: 'x' })], {
    env,
  });

test('a build takes its base from the mirror, and from the registry what the mirror spoils', async () => {
  const env = registries({ [`${registry.host}/own`]: { mirrors: [`${mirror.host}/mirrored`] } });
  const [, layer] = makeImage().blobs;
  assert.ok(layer !== undefined);
  mirror.break({
    path: new RegExp(layer.descriptor.digest),
    times: 99,
    fault: { kind: 'edit', body: (body) => Buffer.alloc(body.length) },
  });
  const { code, stderr } = await build(env);
  assert.equal(code, 0, stderr);
  assert.ok(stderr.includes(`${base()} at ${mirror.host}`), stderr);
  assert.match(stderr, new RegExp(`The mirror ${mirror.host} failed: Cannot accept a blob`));
  assert.deepEqual(
    mirror.requests.map(({ path: asked }) => asked.replace(/sha256:.*/, '')),
    ['/v2/mirrored/base/manifests/1', '/v2/mirrored/base/blobs/', '/v2/mirrored/base/blobs/'],
  );
});

test('a blocked registry is neither pulled from, nor pushed to, nor logged in to', async () => {
  const env = registries({ [registry.host]: { blocked: true } });
  const message = new RegExp(`ERR_TSBUILD_REGISTRY_BLOCKED: Cannot use ${registry.host}.*registries\\.json blocks ${registry.host}\n`);
  const login = world.tsbuild(['login', '-u', 'ann', '--password-stdin', registry.host], { input: 'x', env });
  await world.succeed(['tag', 'app:1', `${registry.host}/app:1`]);
  for (const tried of [build(env), world.tsbuild(['push', `${registry.host}/app:1`], { env }), login]) {
    const { code, stderr } = await tried;
    assert.deepEqual([code, message.test(stderr)], [1, true], stderr);
  }
});

test('a file that is wrong stops what needs a registry, and the doctor tells of it', async () => {
  const env = registries('{"registries": {"r.example": {"mirror": []}}}');
  const { code, stderr } = await world.tsbuild(['pull', base()], { env });
  assert.equal(code, 1);
  assert.match(stderr, /ERR_TSBUILD_CONFIGURATION_INVALID: Cannot use .* has the unknown key "mirror" \(did you mean mirrors\?\)/);
  assert.equal((await world.tsbuild(['images'], { env })).code, 0);
  const build = await world.tsbuild(['-t', 'local:1', world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })], { env });
  assert.equal(build.code, 0, build.stderr);
  const { findings } = JSON.parse((await world.tsbuild(['doctor', '--format', 'json'], { env })).stdout) as {
    findings: { id: string; state: string; found: string }[];
  };
  const found = findings.find(({ id }) => id === 'surroundings.registries');
  assert.deepEqual([found?.state, /did you mean mirrors/.test(found?.found ?? '')], ['limited', true]);
});
