import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { tsbuild } from './_tsbuild.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-check-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const root = path.join(directory, 'root');
let count = 0;

/** Calls tsbuild on a fresh context with these files. */
function run(files: Readonly<Record<string, string>>, args: readonly string[]): ReturnType<typeof tsbuild> {
  const context = path.join(directory, `context-${count++}`);
  mkdirSync(context);
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(context, name), text);
  return tsbuild(['--root', root, ...args, '.'], { cwd: context });
}

const OUTLINE = `# GO The Go version
ARG GO=1.2
ARG UNUSED=2
FROM scratch AS other
ARG D="q r"
RUN --mount=type=secret,id=tok,required --mount=type=secret,target=/x/y c
# base is the base
FROM scratch AS base
# A is first
ARG A=$GO
ARG B C=3
ARG GO TARGETARCH
RUN --mount=type=secret,id=tok --mount=type=ssh a
COPY --from=other /a /b
FROM scratch AS unrelated
ARG E=5
# last is last
FROM base AS Last
ARG OVERRIDE=x
`;

test('--check shows findings with the lines around them and exits with 1, or says that there are none', () => {
  const found = run({ Dockerfile: 'FROM scratch\nWORKDIR app\nCMD a\n' }, ['--check']);
  assert.equal(found.code, 1);
  assert.equal(found.stderr, '');
  assert.match(found.stdout, /^Check complete: 2 warnings\.\n\nWARNING: WorkdirRelativePath - docs\/rules\/WorkdirRelativePath\.md\n/);
  assert.match(found.stdout, /^ {3}2 \| >>> WORKDIR app$/m);
  const clean = run({ Dockerfile: 'FROM scratch\n' }, ['--call=check']);
  assert.deepEqual([clean.code, clean.stdout, clean.stderr], [0, 'Check complete: nothing found.\n', '']);
  assert.equal(existsSync(root), false, 'a check leaves no state behind');
});

test('--call=check,format=json has the keys of BuildKit', () => {
  const { code, stdout } = run({ Dockerfile: 'FROM scratch\nENV a \\\n  b\n' }, ['--call=check,format=json']);
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), {
    warnings: [
      {
        ruleName: 'LegacyKeyValueFormat',
        description: 'ENV and LABEL are written with an equals sign',
        url: 'docs/rules/LegacyKeyValueFormat.md',
        detail: 'Write ENV NAME=value in place of the old ENV NAME value',
        location: {
          ranges: [
            { start: { line: 2 }, end: { line: 2 } },
            { start: { line: 3 }, end: { line: 3 } },
          ],
        },
      },
    ],
    sources: [{ filename: 'Dockerfile', data: Buffer.from('FROM scratch\nENV a \\\n  b\n').toString('base64'), language: 'Dockerfile' }],
  });
});

test('--check reads the ignore file, and tells what planning a build would', () => {
  const ignored = run({ Dockerfile: 'FROM scratch\nCOPY x.log /\n', '.dockerignore': '*.log\n' }, ['--check']);
  assert.match(ignored.stdout, /CopyIgnoredFile/);
  const broken = run({ Dockerfile: 'FROM scratch\nCOPY --from=nothing:::x / /\n' }, ['--check']);
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /nothing found/);
  assert.match(broken.stderr, /ERR_TSBUILD_REFERENCE_INVALID/);
  const json = run({ Dockerfile: 'FROM scratch\nCOPY --from=1 / /\n' }, ['--call=check,format=json']);
  assert.deepEqual((JSON.parse(json.stdout) as { buildError: { location: object } }).buildError.location, {
    ranges: [{ start: { line: 2 }, end: { line: 2 } }],
  });
});

test('a build shows the findings of the stages it needs, and refuses to run where they are errors', () => {
  const text = 'FROM scratch AS Unneeded\nWORKDIR u\nFROM scratch\nWORKDIR app\n';
  const built = run({ Dockerfile: text }, ['--progress=plain']);
  assert.equal(built.code, 0, built.stderr);
  const warnings = built.stderr.split('\n').filter((line) => line.startsWith('WARNING: '));
  assert.deepEqual(
    warnings.map((line) => line.replace(/: .*\((\w+)\)$/, ': $1')),
    ['WARNING: StageNameCasing', 'WARNING: WorkdirRelativePath'],
  );
  assert.match(warnings[1] ?? '', /^WARNING: Dockerfile:4: /);
  const failed = run({ Dockerfile: `# check=error=true\n${text}` }, ['--progress=plain']);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /ERR_TSBUILD_CHECK_FAILED: Cannot accept Dockerfile: .* StageNameCasing, WorkdirRelativePath$/m);
  assert.doesNotMatch(failed.stderr, /^#1 /m);
  const checked = run({ Dockerfile: `# check=error=true\n${text}` }, ['--check']);
  assert.match(checked.stderr, /ERR_TSBUILD_CHECK_FAILED/);
  const overridden = run({ Dockerfile: `# check=error=true\n${text}` }, ['--quiet', '--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all']);
  assert.equal(overridden.code, 0, overridden.stderr);
});

test('--call=outline lists what a target can be given, of the stages it needs', () => {
  assert.equal(
    run({ Dockerfile: OUTLINE }, ['--call=outline', '--build-arg', 'OVERRIDE=zz']).stdout,
    `TARGET: last
DESCRIPTION: is last

BUILD ARG   VALUE   DESCRIPTION
GO          1.2     The Go version
D           q r
A                   is first
B
C           3
OVERRIDE    zz

SECRET   REQUIRED
tok      true
y

SSH       REQUIRED
default
`,
  );
  const { args, secrets, ssh, name } = JSON.parse(run({ Dockerfile: OUTLINE }, ['--call=outline,format=json', '--target=OTHER']).stdout);
  assert.equal(name, 'other');
  assert.deepEqual(args, [{ name: 'D', value: 'q r', location: { ranges: [{ start: { line: 5 }, end: { line: 5 } }] } }]);
  assert.deepEqual(
    secrets.map((secret: { name: string; required?: boolean }) => [secret.name, secret.required]),
    [
      ['tok', true],
      ['y', undefined],
    ],
  );
  assert.equal(ssh, undefined);
});

test('--call=targets lists the stages with their descriptions', () => {
  const text = `${OUTLINE}FROM last\n`;
  assert.match(
    run({ Dockerfile: text }, ['--call=targets']).stdout,
    /^TARGET +DESCRIPTION\nother\nbase +is the base\nunrelated\nlast +is last\n\(default\)\n$/,
  );
  const { targets } = JSON.parse(run({ Dockerfile: text }, ['--call=targets,format=json']).stdout);
  assert.deepEqual(targets[3], {
    name: 'last',
    description: 'is last',
    base: 'base',
    location: { ranges: [{ start: { line: 18 }, end: { line: 18 } }] },
  });
  assert.deepEqual(targets[4], { default: true, base: 'last', location: { ranges: [{ start: { line: 20 }, end: { line: 20 } }] } });
});

test('--call refuses a method or format that does not exist', () => {
  for (const args of [['--call=nope'], ['--call=check,format=yaml'], ['--check', '--call=outline'], ['--call=']]) {
    const { code, stderr } = run({ Dockerfile: 'FROM scratch\n' }, args);
    assert.deepEqual([code, stderr.split(':')[0]], [2, 'ERR_TSBUILD_USAGE'], args.join(' '));
  }
});

test('--build-arg-file sets arguments that --build-arg overrides', () => {
  const Dockerfile = 'FROM scratch\nARG A\nARG B\nARG C\nARG D=1\n';
  const file = '\ufeff# comment\n\nA=from file\r\n  B="quoted" # kept\nC\nE_NOT_SET\n';
  const context = { Dockerfile, 'args.env': file, 'bad.env': 'ok=1\nno pair here\n' };
  process.env['C'] = 'from environment';
  const { args } = JSON.parse(run(context, ['--call=outline,format=json', '--build-arg-file=args.env', '--build-arg=A=flag']).stdout);
  assert.deepEqual(
    args.map(({ name, value }: { name: string; value?: string }) => `${name}=${value}`),
    ['A=flag', 'B="quoted" # kept', 'C=from environment', 'D=1'],
  );
  const bad = run(context, ['--build-arg-file=bad.env']);
  assert.deepEqual(
    [bad.code, bad.stderr.split('\n')[0]],
    [2, 'ERR_TSBUILD_USAGE: Cannot use line 2 of bad.env as a build argument: not KEY=VALUE'],
  );
  assert.equal(run(context, ['--build-arg-file=absent.env']).code, 2);
});
