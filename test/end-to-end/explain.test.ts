import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const DOCKERFILE = ['FROM busybox', 'ARG MODE=fast', 'ARG API_TOKEN', 'COPY src /src', 'RUN echo "$MODE" > /mode', 'WORKDIR /w'].join('\n');

/** Lines after `MISS: `, in the order of the steps. */
async function misses(context: string, args: readonly string[] = [], options: { root?: string } = {}): Promise<string[]> {
  const { code, stderr } = await world.tsbuild(['--progress=plain', '--explain', ...args, context], options);
  assert.equal(code, 0, stderr);
  return [...stderr.matchAll(/^#\d+ MISS: (.*)$/gm)].map(([, text = '']) => text);
}

const project = () => world.context({ Dockerfile: DOCKERFILE, 'src/a.ts': 'a', 'src/b.ts': 'b' });
const dockerfile = (context: string, from: string, to: string) => {
  const file = path.join(context, 'Dockerfile');
  const text = readFileSync(file, 'utf8');
  assert.ok(text.includes(from));
  writeFileSync(file, text.replace(from, to));
};

describe('--no-cache-filter', () => {
  const stages = [
    'FROM busybox AS Tools',
    'RUN echo 1',
    'FROM busybox',
    'RUN echo 2',
    'FROM busybox',
    'RUN echo 3',
    'COPY --from=tools /tmp /a',
    'COPY --from=1 /tmp /b',
  ];
  const ran = async (context: string, args: readonly string[]) => {
    const { code, stderr } = await world.tsbuild(['--progress=json', '--explain', ...args, context]);
    assert.equal(code, 0, stderr);
    const events = stderr
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { kind: string; step?: { text: string }; message?: string; reasons?: { kind: string }[] });
    return {
      ignored: events
        .filter(({ kind, reasons }) => kind === 'step-miss' && reasons?.[0]?.kind === 'no-cache')
        .map(({ step }) => step?.text),
      warnings: events
        .filter(({ kind, message }) => kind === 'warning' && /no-cache-filter/.test(message ?? ''))
        .map(({ message }) => message),
    };
  };

  test('runs the steps of the stages that it names, whatever their case, or by number, and no others', async () => {
    const context = world.context({ Dockerfile: stages.join('\n') });
    await world.succeed(['-q', context]);
    assert.deepEqual((await ran(context, ['--no-cache-filter=TOOLS'])).ignored, ['RUN echo 1']);
    assert.deepEqual((await ran(context, ['--no-cache-filter=tools,1'])).ignored.sort(), ['RUN echo 1', 'RUN echo 2']);
    assert.deepEqual((await ran(context, ['--no-cache-filter=tools', '--no-cache-filter=1'])).ignored.sort(), ['RUN echo 1', 'RUN echo 2']);
    assert.deepEqual((await ran(context, ['--no-cache-filter='])).ignored, []);
  });

  test('builds all the same where no stage has the name, as Docker does, and says so', async () => {
    const context = world.context({ Dockerfile: stages.join('\n') });
    const { ignored, warnings } = await ran(context, ['--no-cache-filter=tolls,9']);
    assert.deepEqual(ignored, []);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /"tolls" \(did you mean "?tools"?\?\)/);
  });

  test('is refused together with --no-cache, as by buildx', async () => {
    const { code, stderr } = await world.tsbuild([
      '--no-cache',
      '--no-cache-filter=tools',
      world.context({ Dockerfile: stages.join('\n') }),
    ]);
    assert.equal(code, 2, stderr);
  });
});

describe('--explain', () => {
  test('tells steps that were never built here, and says nothing of hits', async () => {
    const context = project();
    const [copy = '', ...rest] = await misses(context);
    assert.equal(copy, 'never built here before');
    assert.equal(rest.length, 2);
    assert.match(rest[0] ?? '', /^what it starts from is new: \[stage-0 4\/6\] COPY src \/src, never built here before$/);
    assert.deepEqual(await misses(context), []);
  });

  test('tells the files of COPY that changed, as they were before the build that explains', async () => {
    const context = project();
    await world.succeed(['-q', context]);
    writeFileSync(path.join(context, 'src/a.ts'), 'changed');
    chmodSync(path.join(context, 'src/b.ts'), 0o755);
    writeFileSync(path.join(context, 'src/c.ts'), 'new');
    const [copy, run] = await misses(context);
    assert.equal(copy, 'src/a.ts changed, src/b.ts has another type or mode, src/c.ts added');
    assert.match(run ?? '', /^what it starts from is new: \[stage-0 4\/6\] COPY src \/src$/);
    rmSync(path.join(context, 'src/c.ts'));
    assert.equal((await misses(context))[0], 'src/c.ts removed');
  });

  test('tells variables with their values, and of what may be a secret the name alone', async () => {
    const context = project();
    await world.succeed(['-q', '--build-arg=API_TOKEN=hunter2-old', context]);
    const args = ['--build-arg=MODE=slow', '--build-arg=API_TOKEN=hunter2-new'];
    const [run = ''] = await misses(context, args);
    assert.equal(run, 'MODE changed ("fast" → "slow"), API_TOKEN changed');
    const directory = path.join(world.root, 'cache/accounts');
    for (const name of readdirSync(directory).filter((each) => each !== '.tmp'))
      assert.ok(!readFileSync(path.join(directory, name), 'utf8').includes('hunter2'), 'nor is its value kept');
  });

  test('tells the command, flags, mounts, the directory and the user by their names', async () => {
    const changes: [from: string, to: string, told: string][] = [
      ['RUN echo "$MODE"', 'RUN echo  "$MODE"', 'the command changed'],
      ['RUN echo', 'RUN --network=none echo', '--network changed'],
      ['RUN echo', 'RUN --mount=type=tmpfs,target=/t echo', '--mount=type=tmpfs /t changed'],
      ['RUN echo', 'USER app\nRUN --network=default echo', ''],
      ['COPY src', 'COPY --chmod=600 src', '--chmod changed'],
      ['COPY src /src', 'COPY src /other', 'the destination changed'],
      ['WORKDIR /w', 'WORKDIR /x', 'WORKDIR changed'],
    ];
    for (const [from, to, told] of changes) {
      if (told === '') continue;
      const context = project();
      await world.succeed(['-q', context]);
      dockerfile(context, from, to);
      assert.equal((await misses(context))[0], told, to);
    }
  });

  test('tells the base image by its digests, and another stage by its name', async () => {
    const root = path.join(world.directory, 'bases');
    const tar = path.join(world.directory, 'busybox.tar');
    await world.succeed(['import', tar, 'busybox:latest'], { root });
    const context = world.context({
      Dockerfile: 'FROM busybox AS tools\nRUN echo 1 > /tool\nFROM busybox\nCOPY --from=tools /tool /\nRUN true\n',
    });
    await misses(context, [], { root });
    dockerfile(context, 'echo 1', 'echo 2');
    const [run, copy] = await misses(context, [], { root });
    assert.equal(run, 'the command changed');
    assert.equal(copy, 'stage "tools" changed');
    const other = world.context({ Dockerfile: 'FROM busybox\nRUN echo more > /more\n' });
    await world.succeed(['-q', '-t', 'busybox:latest', other], { root });
    assert.match((await misses(context, [], { root }))[0] ?? '', /^image busybox is sha256:[0-9a-f]{12}, was sha256:[0-9a-f]{12}$/);
  });

  test('tells --no-cache and a result that is gone', async () => {
    const context = project();
    await world.succeed(['-q', context]);
    assert.deepEqual(await misses(context, ['--no-cache']), Array(3).fill('the cache is not used'));
    rmSync(path.join(world.root, 'cache/steps'), { recursive: true });
    assert.equal((await misses(context))[0], 'its result is gone');
  });

  test('is an event of its own in json, and nothing without the flag', async () => {
    const context = project();
    const json = async (args: readonly string[]) => {
      const { stderr } = await world.tsbuild(['--progress=json', ...args, context]);
      return stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { kind: string; reasons?: unknown })
        .filter(({ kind }) => kind === 'step-miss');
    };
    await json([]);
    writeFileSync(path.join(context, 'src/a.ts'), 'changed');
    const [first] = await json(['--explain']);
    assert.deepEqual(first?.reasons, [{ kind: 'file', path: 'src/a.ts', change: 'content' }]);
    assert.deepEqual(await json(['--no-cache']), []);
  });
});
