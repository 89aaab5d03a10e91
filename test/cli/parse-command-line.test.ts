import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { type ParsedCommand, parseCommandLine } from '../../src/cli/parse-command-line.ts';

function parse(line: string): { name: string } & Pick<ParsedCommand, 'operands' | 'flags'> {
  const parsed = parseCommandLine(line.split(' '), '1.2.3');
  assert.ok('spec' in parsed, line);
  return { name: parsed.spec.name, operands: parsed.operands, flags: parsed.flags };
}

test('parseCommandLine() builds when no command is named', () => {
  assert.deepEqual(parse('-t app:1 .'), { name: 'build', operands: ['.'], flags: { cache: true, tag: ['app:1'] } });
  assert.deepEqual(parse('build -t a -t b --no-cache dir').flags, { tag: ['a', 'b'], cache: false });
  assert.deepEqual(parse('. -t app:1'), { name: 'build', operands: ['.'], flags: { cache: true, tag: ['app:1'] } });
});

test('parseCommandLine() takes --root before and after the command', () => {
  for (const line of ['--root /x build .', 'build --root /x .', '-t a --root /x .', '--root=/x images']) {
    assert.equal(parse(line).flags.root, '/x', line);
  }
});

test('parseCommandLine() leaves the flags of the command that run starts alone', () => {
  const { operands, flags } = parse('run -e A=1 --network none app:1 sh -c --root -e');
  assert.deepEqual(operands, ['app:1', 'sh', '-c', '--root', '-e']);
  assert.deepEqual(flags, { env: ['A=1'], network: 'none' });
});

test('parseCommandLine() refuses what it does not know and suggests what was meant', () => {
  const cases: [string, RegExp][] = [
    ['--tga x .', /^Unknown option '--tga' \(did you mean --tag\?\)$/],
    ['build', /^Missing required argument 'context'$/],
    ['build a b', /^Too many arguments/],
    ['--progress fancy .', /^Option '--progress <mode>' argument 'fancy' is invalid/],
    ['--network bridge .', /invalid/],
    ['tag one', /^Missing required argument 'target'$/],
    ['images --push', /^Unknown option '--push'/],
  ];
  for (const [line, message] of cases) {
    assert.throws(() => parse(line), { code: 'ERR_TSBUILD_USAGE', message, hint: /^Usage: tsbuild / }, line);
  }
});

test('parseCommandLine() gives help and version as text', () => {
  for (const { name } of COMMANDS) {
    const parsed = parseCommandLine([...name.split(' '), '--help'], '1.2.3');
    assert.match('help' in parsed ? parsed.help : '', new RegExp(`^Usage: tsbuild ${name} `), name);
  }
  assert.deepEqual(parseCommandLine(['--version'], '1.2.3'), { help: '1.2.3\n' });
});

test('parseCommandLine() does not mix the words of two calls', () => {
  parse('-t a .');
  assert.deepEqual(parse('-t b .').flags.tag, ['b']);
});
