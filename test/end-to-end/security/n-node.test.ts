/** Group N: what is the matter with Node, V8, npm and system calls by way of a foreign function interface. Row N8 is with the hostile Dockerfiles. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseIgnoreFile } from '../../../src/context/ignore-file.ts';
import { TsbuildError } from '../../../src/errors.ts';
import { build } from '../../../src/index.ts';
import { parsePlatform } from '../../../src/oci/platform.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { parseDuration } from '../../../src/parser/duration.ts';
import { parseMount } from '../../../src/parser/mount.ts';
import { parseDockerfile } from '../../../src/parser/parse-dockerfile.ts';
import { parseChallenges } from '../../../src/registry/challenge.ts';
import { parseHost } from '../../../src/sandbox/network/hosts-file.ts';
import { BIN, runCommand } from '../_world.ts';
import { type Attack, makeAttack } from './_attack.ts';

let attack: Attack;

before(async () => {
  attack = await makeAttack();
});
after(async () => {
  attack.assertUnharmed();
  await attack[Symbol.asyncDispose]();
});

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, TSBUILD_ROOT: attack.world.root };
}

describe('a step of Node', () => {
  test('N1 gets none of two hundred descriptors that the caller left open', async () => {
    const context = attack.world.context({ Dockerfile: 'FROM busybox\nRUN ls -1 /proc/self/fd | tr "\\n" " "\n' });
    const open = `for fd in $(seq 10 209); do eval "exec $fd</etc/hostname"; done; exec ${process.execPath} ${BIN} --progress=plain --network=none --no-cache ${context}`;
    const { code, stderr } = await runCommand('bash', ['-c', open], { env: environment() });
    assert.equal(code, 0, stderr);
    // The fourth is the directory that ls reads.
    assert.match(stderr, /^#\d+ \S+ 0 1 2 3 $/m);
  });

  test('N2 opens its output by name', async () => {
    const lines = await attack.lines('RUN echo x > /dev/stdout; echo y > /proc/self/fd/2; echo z | tee /dev/stderr');
    assert.deepEqual(lines.toSorted(), ['x', 'y', 'z', 'z']);
  });

  test('N4 inherits no ignored and no blocked signal', async () => {
    const lines = await attack.lines(
      'RUN { yes; echo "yes ended with $?" >&2; } | head -1; grep -E "^Sig(Ign|Blk)" /proc/self/status | cut -f2',
    );
    assert.deepEqual(lines.toSorted(), ['0000000000000000', '0000000000000000', 'y', 'yes ended with 141']);
  });
});

describe('the process of a build', () => {
  test('N3 stays in its namespaces, each thread of it', async () => {
    const before = namespacesOfThreads();
    const context = attack.world.context({ Dockerfile: 'FROM busybox\nARG N\nRUN echo $N\nRUN --network=none true\n' });
    const tasks = Array.from({ length: 10 }, async (_, index) => {
      await build({ context, root: attack.world.root, buildArgs: { N: String(index) }, onEvent() {} });
    });
    await Promise.all(tasks);
    assert.deepEqual(namespacesOfThreads(), before);
    assert.ok([...before.values()].every((links) => links.length === 1));
  });

  test('N11 ends within half a second of an interruption, whatever it does', async () => {
    for (const [delayMs, step] of [
      [150, 'sleep 30'],
      [400, 'yes > /dev/null'],
      [600, 'dd if=/dev/zero of=/big bs=1M count=400; sleep 30'],
    ] as const) {
      const context = attack.world.context({ Dockerfile: `FROM busybox\nRUN ${step}\n` });
      const abort = new AbortController();
      const ended = build({ context, root: attack.world.root, signal: abort.signal, onEvent() {} }).then(
        () => 'succeeded',
        (error: unknown) => error,
      );
      await sleep(delayMs);
      const began = performance.now();
      abort.abort();
      assert.notEqual(await ended, 'succeeded');
      // The product's bound is 500 ms; a busy machine gets more.
      assert.ok(performance.now() - began < 5000);
    }
  });

  test('N12 leaves no rejection behind where many steps fail at once', async () => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on('unhandledRejection', note);
    try {
      const stages = Array.from({ length: 6 }, (_, index) => `FROM busybox AS s${index}\nRUN sleep 0.0${index}; exit ${index + 1}`);
      const copies = stages.map((_, index) => `COPY --from=s${index} /etc/group /${index}`);
      const context = attack.world.context({ Dockerfile: [...stages, 'FROM busybox', ...copies, ''].join('\n') });
      const snapshots = readdirSync(path.join(attack.world.root, 'snapshots/names')).length;
      await assert.rejects(build({ context, root: attack.world.root, onEvent() {} }), TsbuildError);
      await sleep(300);
      assert.deepEqual(rejections, []);
      assert.equal(readdirSync(path.join(attack.world.root, 'snapshots/names')).length, snapshots);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});

describe('system calls', () => {
  test('N5 survive a soak in a heap that is filled with rubbish', async () => {
    const count = Number(process.env['TSBUILD_SOAK_CALLS'] ?? 50_000);
    const { code, stderr, stdout } = await runCommand(process.execPath, ['--expose-gc', 'scripts/syscall-soak.mjs', String(count)], {
      env: { ...process.env, MALLOC_PERTURB_: '165', TSBUILD_COMPILED: path.resolve(import.meta.dirname, '../../..') },
    });
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^${count} calls`));
  });

  test('N6 that are interrupted make the same image', async () => {
    const files = { Dockerfile: 'FROM busybox\nCOPY data /data\nCOPY --from=busybox /bin/busybox /copy\n', data: 'x'.repeat(300_000) };
    const context = attack.world.context(files);
    const layers = async (prefix: readonly string[]): Promise<unknown> => {
      const [command = '', ...args] = [...prefix, process.execPath, BIN, '--no-cache', '-t', 'interrupted', context];
      const { code, stderr } = await runCommand(command, args, { env: environment() });
      assert.equal(code, 0, stderr);
      return (JSON.parse(await attack.world.succeed(['inspect', 'interrupted'])) as { manifest: { layers: unknown } }).manifest.layers;
    };
    const trace = path.join(attack.world.directory, 'interruptions');
    const strace = ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=write,pwrite64,copy_file_range,getdents64'];
    const inject = ['-e', 'inject=write,pwrite64,copy_file_range,getdents64:error=EINTR:when=3+4'];
    assert.deepEqual(await layers([...strace, ...inject]), await layers([]));
    assert.ok(readFileSync(trace, 'latin1').match(/EINTR.*INJECTED/g)?.length, 'nothing was interrupted');
  });

  test('N7 X30 take names of files as bytes', async () => {
    const context = attack.world.context({
      Dockerfile: 'FROM busybox\nCOPY names /names\nRUN ls -A /names | wc -l\n',
    });
    mkdirSync(path.join(context, 'names'));
    for (let byte = 1; byte < 256; byte++) {
      for (const second of [0x41, 0x80, 0xbf, 0xff]) {
        if (byte === 0x2f || (byte === 0x2e && second === 0x2e) || byte === 0x0a) continue;
        writeFileSync(Buffer.concat([Buffer.from(`${context}/names/`), Buffer.of(byte, second)]), '');
      }
    }
    const { code, stderr } = await attack.world.tsbuild(['--progress=plain', '-t', 'names', context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^#\d+ \S+ 1012$/m);
    const inside = execFileSync(process.execPath, [BIN, 'run', '--network', 'none', 'names', 'find', '/names', '-type', 'f', '-print0'], {
      env: environment(),
    });
    const names = inside
      .toString('latin1')
      .split('\0')
      .filter((name) => name !== '');
    assert.equal(new Set(names).size, 1012);
    for (const name of ['\x01A', '\xff\xff', '\xc3\x80', '\x80\xbf']) assert.ok(names.includes(`/names/${name}`));
  });

  test('N9 take no number for another that is near', async () => {
    for (const size of [2n ** 53n + 1n, 2n ** 63n - 1n]) {
      const { code, stderr } = await attack.world.tsbuild(['import', tarOf(size), 'big:1']);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /ERR_TSBUILD_\w+: /);
    }
    for (const value of ['9007199254740993', '18446744073709551616']) {
      const { code, stderr } = await attack.build('RUN true', [`--memory=${value}`]);
      assert.equal(code, 2, stderr);
    }
  });
});

/** Each reads a text of somebody else's. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseDockerfile: (text) => parseDockerfile(`FROM a\nRUN ${text}\nENV A=${text}\nCOPY ${text} /\n`, { file: 'Dockerfile' }),
  parseReference,
  parsePlatform,
  parseDuration,
  parseHost,
  parseChallenges,
  parseIgnoreFile: (text) => parseIgnoreFile(text),
  parseMount: (text) => parseMount(text, (word) => word),
};
const PARTS = [
  'a',
  ' ',
  '\t',
  '/',
  ':',
  '.',
  ',',
  '=',
  '"',
  "'",
  '\\',
  '$',
  '${',
  '{',
  '(',
  '[',
  '*',
  '**/',
  '!',
  '-',
  '_',
  '0',
  '1h',
  'a=',
  ' a',
  '"a',
  '\\ ',
  '<<A ',
  '@',
  '#',
];

describe('foreign texts', () => {
  test('N10 are read in time that grows no faster than they do', () => {
    const slow: string[] = [];
    for (const [name, read] of Object.entries(READERS)) {
      for (const part of PARTS) {
        for (const end of ['\u0000', 'x']) {
          const ms = timeOf(read, part.repeat(Math.ceil(65_536 / part.length)) + end);
          // Quadratic time would be seconds: 10^9 comparisons and more.
          if (ms > 1000) slow.push(`${name} of ${JSON.stringify(part)}: ${ms.toFixed(0)} ms`);
        }
      }
    }
    assert.deepEqual(slow, []);
  });
});

describe('packages', () => {
  test('N13 are few, of exactly known content, and run nothing when they are installed but what builds koffi', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { integrity?: string; dev?: boolean; optional?: boolean; hasInstallScript?: boolean; resolved?: string }>;
    };
    const runtime = Object.entries(packages).filter(([name, { dev }]) => name !== '' && dev !== true);
    assert.ok(runtime.length > 6 && runtime.length < 80, String(runtime.length));
    assert.deepEqual(
      runtime.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? '')).map(([name]) => name),
      [],
    );
    const withScripts = runtime.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([name]) => name);
    assert.ok(
      withScripts.every((name) => name === 'node_modules/koffi'),
      withScripts.join(),
    );
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    assert.deepEqual(
      Object.keys(scripts).filter((name) => /^(?:pre|post)?install$/.test(name)),
      [],
    );
  });

  test('N14 of the directory that is built are never loaded, nor are its settings', async () => {
    const canary = path.join(attack.world.directory, 'ran');
    const evil = `require('node:fs').appendFileSync(${JSON.stringify(canary)}, process.pid + '\\n');`;
    const files: Record<string, string> = { Dockerfile: 'FROM busybox\nRUN --network=none true\n' };
    for (const name of ['koffi', 'undici', 'tar-stream', 'listr2', 'minimatch', 'dockerfile-ast', 'commander']) {
      files[`node_modules/${name}/index.js`] = evil;
      files[`node_modules/${name}/package.json`] = JSON.stringify({ name, version: '99.0.0', main: 'index.js' });
    }
    const context = attack.world.context({
      ...files,
      'evil.cjs': evil,
      'package.json': JSON.stringify({ type: 'module', imports: { '#koffi': './evil.cjs' } }),
      'tsconfig.json': '{"compilerOptions":{"plugins":[{"name":"./evil.cjs"}]}}',
      '.env': 'NODE_OPTIONS=--require=./evil.cjs\n',
      '.npmrc': 'node-options=--require=./evil.cjs\nscript-shell=./evil.cjs\n',
      '.dockerconfigjson': '{"credsStore":"evil"}',
    });
    for (const launcher of ['engine', 'helper']) {
      const { code, stderr } = await runCommand(process.execPath, [BIN, '--no-cache', '.'], {
        cwd: context,
        env: { ...environment(), TSBUILD_LAUNCHER: launcher },
      });
      assert.equal(code, 0, stderr);
      assert.equal(existsSync(canary), false, launcher);
    }
    // What the caller's environment loads into tsbuild is the caller's; it does not come to run in the helper of a step.
    const { code, stderr } = await runCommand(process.execPath, [BIN, '--no-cache', '.'], {
      cwd: context,
      env: { ...environment(), TSBUILD_LAUNCHER: 'helper', NODE_OPTIONS: `--require=${context}/evil.cjs` },
    });
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(canary, 'utf8').trim().split('\n').length, 1);
  });
});

function namespacesOfThreads(): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const task of readdirSync('/proc/self/task')) {
    for (const kind of readdirSync('/proc/self/ns')) {
      const links = found.get(kind) ?? new Set();
      try {
        links.add(readlinkSync(`/proc/self/task/${task}/ns/${kind}`));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // a thread that has ended
      }
      found.set(kind, links);
    }
  }
  return new Map([...found].map(([kind, links]) => [kind, [...links]]));
}

/** A header alone, whose size is in base 256: tar(5). */
function tarOf(size: bigint): string {
  const header = Buffer.alloc(512);
  header.write('file', 0);
  header.write('0000644\0', 100);
  header.writeUInt8(0x80, 124);
  header.writeBigUInt64BE(size, 128);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  const file = path.join(attack.world.directory, `size-${size}.tar`);
  writeFileSync(file, Buffer.concat([header, Buffer.alloc(2048)]));
  return file;
}

function timeOf(read: (text: string) => unknown, text: string): number {
  const began = performance.now();
  try {
    read(text);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
  }
  return performance.now() - began;
}
