import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type GithubServer, startGithubService } from '../remote-cache/_github-service.ts';
import { S3_ENVIRONMENT, type S3Server, startS3 } from '../remote-cache/_s3-server.ts';
import { type TwoStates, twoStates } from './_two-states.ts';

let states: TwoStates;
let s3: S3Server;
let github: GithubServer;

before(async () => {
  s3 = await startS3();
  github = await startGithubService();
  states = await twoStates();
});
after(async () => {
  await states[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
  await github[Symbol.asyncDispose]();
});

const DOCKERFILE = [
  'FROM busybox AS tools',
  'RUN head -c8 /dev/urandom > /tool',
  'FROM busybox',
  'COPY big /big',
  'RUN head -c8 /dev/urandom > /built',
  'COPY --from=tools /tool /tool',
  'COPY app /app',
].join('\n');

/** A layer of more than one block of the service. */
const BIG = Buffer.alloc(20 << 20, 1);
for (let i = 0; i < BIG.length; i += 4) BIG.writeUInt32LE((Math.imul(i, 2654435761) ^ (i >>> 7)) >>> 0, i);

async function serves(cache: { readonly to: string; readonly from: string; readonly env: NodeJS.ProcessEnv }): Promise<void> {
  const context = states.world.context({ Dockerfile: DOCKERFILE, app: cache.to, big: cache.to.includes('max') ? BIG : 'small' });
  await states.forget();
  const first = await states.build(states.a, ['--cache-to', cache.to, context], cache.env);
  const again = await states.build(states.a, ['--cache-to', cache.to, context], cache.env);
  assert.ok(
    !again.events.some(({ kind, action, bytes = 0 }) => kind === 'transfer' && action === 'push' && bytes > 1 << 20),
    'nothing is sent twice',
  );
  const second = await states.build(states.b, ['--cache-from', cache.from, context], cache.env);
  assert.deepEqual([second.ran, second.digest, second.warnings], [[], first.digest, []]);
  assert.equal(second.found.size, 5);
  writeFileSync(path.join(context, 'app'), 'changed');
  await states.forget();
  const third = await states.build(states.b, ['--cache-from', cache.from, context], cache.env);
  assert.deepEqual(third.ran, ['COPY app /app']);
}

describe('remote caches in services', () => {
  for (const mode of ['min', 'max']) {
    test(`type=s3,mode=${mode} keeps objects of a bucket, by prefix and name`, async () => {
      const place = `type=s3,bucket=${s3.bucket},endpoint_url=${s3.url},prefix=team/${mode}/,name=main;other`;
      await serves({ to: `${place},mode=${mode}`, from: place, env: S3_ENVIRONMENT });
      for (const name of ['main', 'other'])
        assert.ok(existsSync(path.join(s3.directory, s3.bucket, `team/${mode}/manifests/${name}._S3rver_object`)), name);
    });

    for (const version of mode === 'min' ? [2] : [1, 2]) {
      test(`type=gha,version=${version},mode=${mode} keeps entries of the cache service`, async () => {
        const place = `type=gha,scope=${mode}${version},version=${version}`;
        const env = { ACTIONS_RESULTS_URL: github.url, ACTIONS_CACHE_URL: github.url, ACTIONS_RUNTIME_TOKEN: github.token };
        await serves({ to: `${place},mode=${mode}`, from: place, env });
      });
    }
  }

  test('type=s3 touches what is older than touch_refresh', async () => {
    const place = `type=s3,bucket=${s3.bucket},endpoint_url=${s3.url},prefix=touch/`;
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN echo touched > /f\n' });
    await states.build(states.a, ['--cache-to', place, context], S3_ENVIRONMENT);
    const { warnings } = await states.build(states.a, ['--cache-to', `${place},touch_refresh=0s`, context], S3_ENVIRONMENT);
    assert.deepEqual(warnings, []);
    await states.forget();
    assert.deepEqual((await states.build(states.b, ['--cache-from', place, context], S3_ENVIRONMENT)).ran, []);
  });

  test('a refusal fails the export and costs the import, and no message has the key in it', async () => {
    const place = `type=s3,bucket=${s3.bucket},endpoint_url=${s3.url},region=us-east-1,access_key_id=NOBODY,secret_access_key=VERY-SECRET-WRONG`;
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const failed = await states.world.tsbuild(['build', '--cache-to', place, context], { root: states.a });
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /answers 403/);
    const { warnings, result } = await states.build(states.b, ['--cache-from', place, context]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /Building without the cache s3 builds\/: /);
    assert.ok(!`${failed.stderr}${result.stderr}`.includes('VERY-SECRET'));
  });

  test('type=gha outside of an action is an error of the export, and a warning of the import', async () => {
    const context = states.world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
    const none = { ACTIONS_RESULTS_URL: undefined, ACTIONS_CACHE_URL: undefined, ACTIONS_RUNTIME_TOKEN: undefined };
    assert.equal((await states.world.tsbuild(['build', '--cache-to', 'type=gha', context], { root: states.a, env: none })).code, 1);
    const { warnings } = await states.build(states.b, ['--cache-from', 'type=gha', context], none);
    assert.match(warnings.join(), /its address and token are not known/);
    const wrong = await states.build(states.b, ['--cache-from', `type=gha,token=wrong,url_v2=${github.url}`, context], none);
    assert.match(wrong.warnings.join(), /401/);
  });
});
