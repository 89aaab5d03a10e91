/** `registry.insecure=true`, with a registry that is not on loopback: in a network namespace of the test's own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BIN, emptyWorld, runCommand, type World } from './_world.ts';

const ADDRESS = '198.51.100.7:5000';
let world: World;
before(() => {
  world = emptyWorld();
});
after(async () => await world[Symbol.asyncDispose]());

/** The first build is refused, since it speaks TLS; the second one is not; then what the registry has is printed. */
const SCRIPT = `ip link set lo up && ip addr add 198.51.100.7/32 dev lo
docker-registry serve "$1" > /dev/null 2>&1 & registry=$!
trap 'kill $registry' EXIT
for i in $(seq 100); do "$2" -e 'fetch("http://${ADDRESS}/v2/").catch(() => process.exit(1))' && break; sleep 0.1; done
"$2" "$3" build -o type=registry,name=${ADDRESS}/app:1 "$0" && echo unexpected
"$2" "$3" build -o type=registry,name=${ADDRESS}/app:1,registry.insecure=true "$0"
"$2" -e 'fetch("http://${ADDRESS}/v2/app/tags/list").then((r) => r.text()).then(console.log)'`;

test('registry.insecure=true pushes by plain HTTP to a registry that is somewhere else, and nothing else does', async () => {
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'x' });
  const configuration = path.join(world.directory, 'registry.json');
  const storage = { filesystem: { rootdirectory: path.join(world.directory, 'registry') } };
  writeFileSync(configuration, JSON.stringify({ version: '0.1', log: { level: 'error' }, storage, http: { addr: ADDRESS } }));
  const { stdout, stderr } = await runCommand('unshare', ['-n', 'bash', '-c', SCRIPT, context, configuration, process.execPath, BIN], {
    env: { ...process.env, TSBUILD_ROOT: world.root },
  });
  assert.match(stdout, /^sha256:[a-f0-9]{64}\n\{"name":"app","tags":\["1"\]\}\n+$/, stderr);
  assert.equal(stderr.match(/ERR_TSBUILD_REGISTRY_\w+/g)?.length, 1, stderr);
});
