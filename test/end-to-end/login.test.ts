/** `tsbuild login` and `logout` against real registries, a real helper program, and skopeo as the other client of the file. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/_docker-registry.ts';
import { ISSUER, SERVICE, startTokenServer, type TokenServer } from '../registry/_token-server.ts';
import { onPseudoTerminal } from './_pseudo-terminal.ts';
import { BIN, type CommandResult, emptyWorld, runCommand, type World } from './_world.ts';

const PASSWORD = 'pass:with SECRET ü';
let world: World;
let registry: TestRegistry;

before(async () => {
  world = emptyWorld();
  registry = await startRegistry({ users: { ann: PASSWORD } });
});
after(async () => {
  await registry.stop();
  await world[Symbol.asyncDispose]();
});

/** A new directory for config.json, with what it begins as. */
function configDirectory(text?: string): string {
  const directory = mkdtempSync(path.join(world.directory, 'docker-'));
  if (text !== undefined) writeFileSync(path.join(directory, 'config.json'), text);
  return directory;
}
const configOf = (directory: string): Record<string, Record<string, unknown>> =>
  JSON.parse(readFileSync(path.join(directory, 'config.json'), 'utf8')) as Record<string, Record<string, unknown>>;

interface Login {
  readonly config: string;
  readonly host?: string;
  readonly user?: string;
  readonly password?: string;
  readonly env?: NodeJS.ProcessEnv;
}
const logIn = ({ config, host = registry.host, user = 'ann', password = PASSWORD, env = {} }: Login): Promise<CommandResult> =>
  world.tsbuild(['login', '-u', user, '--password-stdin', host], { input: password, env: { DOCKER_CONFIG: config, ...env } });
const push = (config: string, name: string, env: NodeJS.ProcessEnv = {}): Promise<CommandResult> => {
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY x /\n', x: 'x' });
  return world.tsbuild(['-t', name, '--push', context], { env: { DOCKER_CONFIG: config, ...env } });
};
const secretless = (result: CommandResult): void => assert.doesNotMatch(result.stdout + result.stderr, /SECRET|U0VDUkVU/);

describe('tsbuild login with Basic authentication', () => {
  test('keeps what the registry accepts, for its owner alone, beside all that was there, and logout removes it', async () => {
    const text = '{"HttpHeaders": {"x": 1.0}, "auths": {"other.example": {"auth": "eDp5", "new": [1]}}, "psFormat": "t"}';
    const config = configDirectory(text);
    assert.equal((await push(config, `${registry.host}/app:1`)).code, 1);
    const result = await logIn({ config, password: `${PASSWORD}\n` });
    assert.deepEqual([result.code, result.stdout], [0, `Logged in to ${registry.host} as ann\n`]);
    assert.match(result.stderr, /^Warning: The password stands unencrypted in \/.*config\.json; a credential helper/);
    secretless(result);
    assert.equal(statSync(path.join(config, 'config.json')).mode & 0o777, 0o600);
    const auth = Buffer.from(`ann:${PASSWORD}`).toString('base64');
    assert.deepEqual(configOf(config)['auths'], { 'other.example': { auth: 'eDp5', new: [1] }, [registry.host]: { auth } });
    assert.match(readFileSync(path.join(config, 'config.json'), 'utf8'), /^\{"HttpHeaders": \{"x": 1\.0\}, "auths": /);
    assert.equal((await push(config, `${registry.host}/app:1`)).code, 0);
    const out = await world.tsbuild(['logout', registry.host], { env: { DOCKER_CONFIG: config } });
    assert.deepEqual([out.code, out.stdout], [0, `Logged out of ${registry.host}\n`]);
    assert.deepEqual(Object.keys(configOf(config)['auths'] ?? {}), ['other.example']);
    const again = await world.tsbuild(['logout', registry.host], { env: { DOCKER_CONFIG: config } });
    assert.deepEqual([again.code, again.stdout.startsWith(`Not logged in to ${registry.host}`)], [0, true]);
  });

  test('replaces what was kept under an older spelling of the registry', async () => {
    const config = configDirectory(JSON.stringify({ auths: { [`https://${registry.host}/v1/`]: { auth: 'eDp5' } } }));
    assert.equal((await logIn({ config, host: `http://${registry.host}/v2/` })).code, 0);
    assert.deepEqual(Object.keys(configOf(config)['auths'] ?? {}), [registry.host]);
  });

  test('a wrong password is refused, not kept, and not shown', async () => {
    const config = configDirectory('{}');
    const result = await logIn({ config, password: 'SECRET' });
    assert.deepEqual([result.code, result.stdout], [1, '']);
    assert.match(result.stderr, /^ERR_TSBUILD_REGISTRY_UNAUTHORIZED: Cannot log in to 127\.0\.0\.1:\d+ as ann: 401 UNAUTHORIZED/);
    secretless(result);
    assert.deepEqual(configOf(config), {});
  });

  test('says why, where nobody answers, nothing can be asked, or the name is none', async () => {
    const config = configDirectory();
    const unreachable = await logIn({ config, host: '127.0.0.1:1' });
    assert.match(unreachable.stderr, /^ERR_TSBUILD_REGISTRY_UNREACHABLE: Cannot log in to 127\.0\.0\.1:1: .*refused/);
    for (const args of [
      ['-u', 'ann', 'r.example'],
      ['--password-stdin', 'r.example'],
      ['-u', 'ann', '--password-stdin', 'r.example/team'],
    ]) {
      const { code, stderr } = await world.tsbuild(['login', ...args], { input: 'x', env: { DOCKER_CONFIG: config } });
      assert.equal(code, 2, stderr);
    }
    assert.equal((await logIn({ config, password: '\n' })).code, 2);
    assert.equal((await logIn({ config, user: 'a:b' })).code, 2);
    assert.match((await logIn({ config, password: 'x'.repeat(70_000) })).stderr, /longer than 65536 bytes/);
  });

  test('a registry that lets everybody in is told of', async () => {
    await using open = await startRegistry();
    const result = await logIn({ config: configDirectory(), host: open.host });
    assert.equal(result.code, 0);
    assert.match(result.stderr, /lets everybody in and did not look at the credentials/);
  });

  test('asks on the terminal, and shows the user name but not the password', async () => {
    const config = configDirectory();
    const env = { ...process.env, DOCKER_CONFIG: config };
    const command = [process.execPath, BIN, 'login', registry.host];
    const typed = await onPseudoTerminal(
      [
        ['Username: ', ['type', 'amm\x7f\x7fnn\n']],
        ['Password: ', ['type', `${PASSWORD}\n`]],
      ],
      command,
      env,
    );
    assert.deepEqual([typed.code, typed.restored, typed.left], [0, true, 0], typed.out);
    assert.match(typed.out, /Logged in to 127\.0\.0\.1:\d+ as ann/);
    assert.doesNotMatch(typed.out, /SECRET/);
    const interrupted = await onPseudoTerminal([['Password: ', ['type', 'half\x03']]], [...command, '-u', 'ann'], env);
    assert.deepEqual([interrupted.code, interrupted.restored], [130, true], interrupted.out);
    assert.doesNotMatch(interrupted.out, /half/);
  });

  test('skopeo reads what tsbuild keeps, and tsbuild what skopeo does', async () => {
    const [ours, theirs] = [configDirectory(), configDirectory('{}')];
    assert.equal((await logIn({ config: ours })).code, 0);
    assert.equal((await push(ours, `${registry.host}/shared:1`)).code, 0);
    const inspect = (env: NodeJS.ProcessEnv): Promise<CommandResult> =>
      runCommand('skopeo', ['inspect', '--tls-verify=false', `docker://${registry.host}/shared:1`], { env: { ...process.env, ...env } });
    for (const env of [{ REGISTRY_AUTH_FILE: path.join(ours, 'config.json') }, { DOCKER_CONFIG: ours, XDG_RUNTIME_DIR: theirs }]) {
      const { code, stderr } = await inspect(env);
      assert.equal(code, 0, stderr);
    }
    const file = path.join(theirs, 'config.json');
    const login = ['login', '--tls-verify=false', '--authfile', file, '-u', 'ann', '--password-stdin', registry.host];
    const { code, stderr } = await runCommand('skopeo', login, { input: PASSWORD });
    assert.equal(code, 0, stderr);
    assert.equal((await push(theirs, `${registry.host}/shared:2`)).code, 0);
    assert.equal((await world.tsbuild(['logout', registry.host], { env: { DOCKER_CONFIG: theirs } })).code, 0);
    assert.notEqual((await inspect({ REGISTRY_AUTH_FILE: file })).code, 0);
  });
});

describe('tsbuild login with a token server', () => {
  const user = { name: 'bob', password: 'token SECRET', identityToken: 'identity-SECRET' };
  let tokens: TokenServer;
  let guarded: TestRegistry;
  before(async () => {
    tokens = await startTokenServer(user);
    guarded = await startRegistry({ token: { realm: tokens.realm, service: SERVICE, issuer: ISSUER, certificate: tokens.certificate } });
  });
  after(async () => {
    await guarded.stop();
    await tokens[Symbol.asyncDispose]();
  });
  const bob = (config: string, password = user.password): Promise<CommandResult> =>
    logIn({ config, host: guarded.host, user: user.name, password });

  test('keeps the password where the server gives no identity token', async () => {
    const config = configDirectory();
    assert.equal((await bob(config)).code, 0);
    assert.deepEqual(configOf(config)['auths']?.[guarded.host], { auth: Buffer.from(`bob:${user.password}`).toString('base64') });
    assert.equal((await push(config, `${guarded.host}/private/a:1`)).code, 0);
    const wrong = await bob(config, 'SECRET');
    assert.match(wrong.stderr, /Cannot log in to .* as bob: the token server .* answered 401 UNAUTHORIZED: wrong password/);
    secretless(wrong);
  });

  test('keeps the identity token, and not the password, where it gives one', async () => {
    tokens.identities = true;
    const config = configDirectory();
    const result = await bob(config);
    tokens.identities = false;
    assert.match(result.stderr, /^Warning: A token stands unencrypted/);
    secretless(result);
    const auth = Buffer.from('bob:').toString('base64');
    assert.deepEqual(configOf(config)['auths']?.[guarded.host], { auth, identitytoken: user.identityToken });
    tokens.requests.length = 0;
    assert.equal((await push(config, `${guarded.host}/private/b:1`)).code, 0);
    assert.ok(tokens.requests.length > 0 && tokens.requests.every(({ method }) => method === 'POST'));
  });
});

/** A helper that keeps each server in a file, and writes down how it was called. */
const HELPER = `#!/bin/sh
set -u
store="$HELPER_STORE"
echo "$0 $*" >> "$store/calls"
case "$1" in
  store) cat > "$store/secret"; echo SECRET >&2 ;;
  get) cat > /dev/null; [ -e "$store/secret" ] || { echo 'credentials not found in native keychain'; exit 1; }; cat "$store/secret" ;;
  erase) cat > /dev/null; rm -f "$store/secret" ;;
esac
`;

describe('tsbuild login with a credential helper', () => {
  function helperWorld(script = HELPER): { env: NodeJS.ProcessEnv; store: string } {
    const bin = mkdtempSync(path.join(world.directory, 'bin-'));
    const store = path.join(bin, 'store');
    mkdirSync(store);
    writeFileSync(path.join(bin, 'docker-credential-tested'), script, { mode: 0o755 });
    return { env: { PATH: `${bin}:${process.env.PATH}`, HELPER_STORE: store }, store };
  }

  for (const settings of [{ credsStore: 'tested' }, { credsStore: 'absent', credHelpers: {} as Record<string, string> }]) {
    test(`gives the secret to ${Object.keys(settings).at(-1)}, which get and logout ask, and not to the file`, async () => {
      if (settings.credHelpers !== undefined) settings.credHelpers[registry.host] = 'tested';
      const { env, store } = helperWorld();
      const config = configDirectory(JSON.stringify({ ...settings, auths: { [registry.host]: { auth: 'b2xkOlNFQ1JFVA==', kept: 1 } } }));
      const result = await logIn({ config, env });
      assert.deepEqual([result.code, result.stderr], [0, '']);
      assert.deepEqual(JSON.parse(readFileSync(path.join(store, 'secret'), 'utf8')), {
        ...{ ServerURL: registry.host, Username: 'ann', Secret: PASSWORD },
      });
      assert.deepEqual(configOf(config)['auths'], { [registry.host]: { kept: 1 } });
      assert.equal((await push(config, `${registry.host}/helped:1`, env)).code, 0);
      assert.equal((await world.tsbuild(['logout', registry.host], { env: { ...env, DOCKER_CONFIG: config } })).code, 0);
      assert.deepEqual(configOf(config)['auths'], {});
      assert.equal((await push(config, `${registry.host}/helped:1`, env)).code, 1);
      assert.doesNotMatch(readFileSync(path.join(store, 'calls'), 'utf8'), /SECRET/);
    });
  }

  test('a helper that is missing or fails is an error, and the file does not get the secret instead', async () => {
    const broken = helperWorld('#!/bin/sh\necho SECRET; echo SECRET >&2; exit 9\n');
    for (const [credsStore, env, reason] of [
      ['absent', {}, 'it is not in PATH'],
      ['tested', broken.env, 'it exited with code 9'],
    ] as const) {
      const config = configDirectory(JSON.stringify({ credsStore }));
      const result = await logIn({ config, env });
      assert.deepEqual([result.code, result.stdout], [1, '']);
      const message = `ERR_TSBUILD_LOGIN_FAILED: Cannot store in the credential helper docker-credential-${credsStore}: ${reason}\n`;
      assert.ok(result.stderr.startsWith(message), result.stderr);
      secretless(result);
      assert.deepEqual(configOf(config), { credsStore });
    }
  });
});
