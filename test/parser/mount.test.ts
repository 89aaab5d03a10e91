import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../src/errors.ts';
import { checkMount, parseMount } from '../../src/parser/mount.ts';
import { splitMountFields } from '../../src/parser/mount-fields.ts';

const read = (text: string) => parseMount(text, (word) => word);
const ROOT_FILE = { uid: 0, gid: 0 };

describe('parseMount()', () => {
  const bind = { type: 'bind', target: '/t', from: undefined, source: '/', access: 'read-only' };
  const cache = { ...bind, type: 'cache', access: 'read-write', id: undefined, sharing: 'shared', owner: undefined };
  const accepted: Record<string, object> = {
    'target=/t': bind,
    'type=bind,dst=/t': bind,
    'TYPE=Bind,Destination=/t': bind,
    'target=/t,rw': { ...bind, access: 'read-write' },
    'target=/t,ro=0': { ...bind, access: 'read-write' },
    'target=/t,readwrite=F': bind,
    'target=/t,ro,rw': { ...bind, access: 'read-write' },
    'target=/t,from=a,src=../b': { ...bind, from: 'a', source: '../b' },
    '"target=/t"': bind,
    '"target=/t,u",ro': { ...bind, target: '/t,u' },
    '"target=/t""u"': { ...bind, target: '/t"u' },
    'target=/x,target=/t': bind,
    'target=/t,env=X,id=y': bind,
    'type=cache,target=/t': cache,
    'type=cache,target=/t,id=': cache,
    'type=cache,target=/t,id=a/../b,sharing=LOCKED,ro': { ...cache, id: 'a/../b', sharing: 'locked', access: 'read-only' },
    'type=cache,target=/t,mode=0700,uid=5': { ...cache, owner: { mode: 0o700, uid: 5 } },
    'type=tmpfs,target=/t': { type: 'tmpfs', target: '/t', bytes: undefined, access: 'read-write' },
    'type=tmpfs,target=/t,size=10m': { type: 'tmpfs', target: '/t', bytes: 10 << 20, access: 'read-write' },
    'type=tmpfs,target=/t,size=1.5kb': { type: 'tmpfs', target: '/t', bytes: 1536, access: 'read-write' },
    'type=secret,id=x': {
      type: 'secret',
      id: 'x',
      target: undefined,
      env: undefined,
      required: false,
      owner: { mode: 0o400, ...ROOT_FILE },
    },
    'type=secret,target=/a/b/': {
      type: 'secret',
      id: 'b',
      target: '/a/b/',
      env: undefined,
      required: false,
      owner: { mode: 0o400, ...ROOT_FILE },
    },
    'type=secret,source=x,env=A,required': {
      type: 'secret',
      id: 'x',
      target: undefined,
      env: 'A',
      required: true,
      owner: { mode: 0o400, ...ROOT_FILE },
    },
    'type=ssh': { type: 'ssh', id: 'default', target: undefined, required: false, owner: { mode: 0o600, ...ROOT_FILE } },
    'type=ssh,id=k,required=1,mode=0666': { type: 'ssh', id: 'k', target: undefined, required: true, owner: { mode: 0o666, ...ROOT_FILE } },
  };
  for (const [text, mount] of Object.entries(accepted)) test(`reads ${text}`, () => assert.deepEqual({ ...read(text) }, mount));

  const refused: Record<string, RegExp> = {
    '': /an empty field/,
    'target=/t,,ro': /an empty field/,
    'type=bnd,target=/t': /"bnd" as type.*did you mean bind/,
    'type=cache,taget=/t': /"taget".*did you mean target/,
    'bind-propagation=shared,target=/t': /no such key/,
    target: /it has no value/,
    'target=/t,ro=maybe': /"maybe" as ro/,
    'target=/t,size=1m': /size in --mount=type=bind: it is for tmpfs/,
    'target=/t,uid=1': /uid in --mount=type=bind/,
    'target=/t,sharing=shared': /it is for cache/,
    'target=/t,required': /required in --mount=type=bind/,
    'type=tmpfs,mode=0700,target=/t': /mode in --mount=type=tmpfs/,
    'type=tmpfs,target=/t,size=-1': /"-1" as size/,
    'type=tmpfs,target=/t,size=9999999999p': /as size/,
    'type=cache,target=/c,mode=99': /"99" as mode/,
    'type=cache,target=/c,mode=017777': /as mode/,
    'type=cache,target=/c,uid=root': /"root" as uid/,
    'type=cache,target=/c,uid=4294967296': /as uid/,
    'type=cache,target=/c,sharing=none': /"none" as sharing/,
    'type=secret': /it has no id/,
    'type=secret,target=/': /it has no id/,
    'type=secret,id=x,source=y': /both id and source/,
    'type=secret,id=x,from=a': /from in --mount=type=secret/,
    'type=secret,id=x,env=A=B': /name of a variable/,
    'type=ssh,from=a': /from in --mount=type=ssh/,
    '"target=/t': /a quote in the wrong place/,
    'target="/t"': /a quote in the wrong place/,
  };
  for (const [text, message] of Object.entries(refused)) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => read(text),
        (error: unknown) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DOCKERFILE_SYNTAX' && message.test(error.message),
      );
    });
  }

  test('expands every value, and nothing else', () => {
    const values: string[] = [];
    const mount = parseMount('type=$T,target=${A},id=$T,ro', (word) => {
      values.push(word);
      return word === '$T' ? 'cache' : '/x,y';
    });
    assert.deepEqual(values, ['$T', '${A}', '$T']);
    assert.deepEqual([mount.type, mount.target], ['cache', '/x,y']);
  });

  test('gives a mount or a DOCKERFILE_SYNTAX error for any text', () => {
    const words = [
      'type=',
      'bind',
      'cache',
      'tmpfs',
      'secret',
      'ssh',
      'target=',
      'id=',
      'ro',
      ',',
      '"',
      '=',
      '/',
      'size=1',
      'uid=0',
      'from=',
      'mode=7',
      '$A',
      '\0',
    ];
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (value) => {
        for (const act of [() => read(value), () => checkMount(value), () => splitMountFields(value)]) {
          try {
            act();
          } catch (error) {
            assert.ok(error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DOCKERFILE_SYNTAX', String(error));
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('checkMount()', () => {
  test('judges what has no variables, and leaves the rest', () => {
    assert.throws(() => checkMount('type=bnd'), /bnd/);
    assert.throws(() => checkMount('typ=$A'), /did you mean type/);
    assert.throws(() => checkMount('target=$A,ro=maybe'), /maybe/);
    for (const text of ['type=$A', 'type=$A,size=1m', 'target=/t,mode=$M,type=cache', 'type=secret,id=$I']) checkMount(text);
  });
});
