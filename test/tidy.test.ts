import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ERROR_CODES } from '../src/errors.ts';
import { filesBelow, importsOf, SOURCES } from './_sources.ts';

const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
/** Tables of constants and the bytes of machine code are as long as they are. */
const TABLE = /-table\.ts$|native|-code\.ts$/;
const ENTRIES = new Set([
  'src/compiled-code.ts',
  'src/index.ts',
  'src/cli/main.ts',
  'src/sandbox/launch-helper.ts',
  'src/sandbox/network/network-worker.ts',
  'src/store/writing-worker.ts',
]);
const TESTS = ['test', 'bench'].flatMap((dir) => (existsSync(dir) ? filesBelow(dir) : []));

test('no source file is longer than 400 lines', () => {
  const long = SOURCES.filter((file) => !TABLE.test(file) && linesOf(file).length > LINES_MAX);
  assert.deepEqual(long, []);
});

test('no function is longer than 70 lines', () => {
  const long = SOURCES.filter((file) => !TABLE.test(file)).flatMap((file) => longFunctions(linesOf(file)).map((at) => `${file}:${at}`));
  assert.deepEqual(long, []);
});

test('files are kebab-case and none is a drawer', () => {
  const bad = [...SOURCES, ...TESTS].filter((file) => {
    const names = file.replace(/(\.slow)?(\.test)?\.ts$/, '').split('/');
    return names.some(
      (name) => !/^_?[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || /^_?(utils?|helpers?|common|misc|shared|lib|manager)$/.test(name),
    );
  });
  assert.deepEqual(bad, []);
});

test('every source file is imported by another one', () => {
  const imported = new Set(SOURCES.flatMap(importsOf).map(({ target }) => target));
  assert.deepEqual(
    SOURCES.filter((file) => !imported.has(file) && !ENTRIES.has(file)),
    [],
  );
});

test('a source file whose name starts with _ stays in its room', () => {
  const strays = SOURCES.flatMap((file) =>
    importsOf(file)
      .filter(({ target }) => path.basename(target).startsWith('_') && !isAbove(path.dirname(target), file))
      .map(({ target }) => `${file} → ${target}`),
  );
  assert.deepEqual(strays, []);
});

test('no source leaves a note to itself or switches the compiler off', () => {
  const noted = /\b(TODO|FIXME|XXX|HACK)\b|@ts-(ignore|expect-error|nocheck)/;
  assert.deepEqual(
    SOURCES.filter((file) => noted.test(readFileSync(file, 'utf8'))),
    [],
  );
});

test('no source asserts a type away, prints past progress or ends the process', () => {
  const rules: [RegExp, RegExp | undefined][] = [
    [/:\s*any\b|\bas any\b|<any>/, undefined],
    [/\bconsole\./, /^src\/(cli|progress)\//],
    [/\bprocess\.exit\(/, /^src\/cli\/main\.ts$/],
    // It follows links to directories.
    [/readdir(Sync)?\([^)]*recursive/, undefined],
  ];
  const offences = SOURCES.flatMap((file) => {
    const code = codeOf(file);
    return rules
      .filter(([pattern, allowed]) => pattern.test(code) && !allowed?.test(file))
      .map(([pattern]) => `${file}: ${pattern.source}`);
  });
  assert.deepEqual(offences, []);
});

test('ERROR_CODES and docs/errors.md name the same codes', () => {
  const documented = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `ERR_TSBUILD_(\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(documented.toSorted(), Object.keys(ERROR_CODES).toSorted());
});

test('every code of ERROR_CODES is thrown somewhere', () => {
  const text = SOURCES.filter((file) => file !== 'src/errors.ts')
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const classes = new Set(['RUN_FAILED', 'RUN_KILLED', 'SYSCALL_FAILED']);
  assert.deepEqual(
    Object.keys(ERROR_CODES).filter((name) => !classes.has(name) && !new RegExp(`'${name}'`).test(text)),
    [],
  );
});

/** Without comments. */
function codeOf(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '');
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').trimEnd().split('\n');
}

/** Line numbers where too long functions start. The formatter puts the closing brace under the first character. */
function longFunctions(lines: readonly string[]): number[] {
  return lines.flatMap((line, start) => {
    const head =
      /^( *)(?:export )?(?:default )?(?:static )?(?:async )?(?:function\b|(?:const|let) \w+.*=>|(?:get |set |#|\*)?[\w[\].#]+\(.*\).*)/.exec(
        line,
      );
    if (head === null || !line.endsWith('{') || /^ *(?:if|for|while|switch|try|return|else|catch)\b|\b(?:describe|test)\(/.test(line))
      return [];
    const close = `${head[1] ?? ''}}`;
    const length = lines.slice(start).findIndex((candidate) => candidate.startsWith(close)) + 1;
    return length > FUNCTION_LINES_MAX ? [start + 1] : [];
  });
}

function isAbove(dir: string, file: string): boolean {
  return file.startsWith(`${dir}/`);
}
