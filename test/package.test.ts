import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

/** The package as npm would publish it, unpacked where a user's project has it. */
const project = mkdtempSync(path.join(tmpdir(), 'tsbuild-package-'));
const installed = path.join(project, 'node_modules/tsbuild');
const env = { ...process.env, TSBUILD_ROOT: path.join(project, 'state') };

before(() => {
  if (!existsSync('dist/cli.js')) execFileSync('npm', ['run', 'build']);
  const [file] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], { encoding: 'utf8' }),
  ) as [{ filename: string }];
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', path.join(project, file.filename), '-C', installed, '--strip-components=1']);
  for (const name of readdirSync('node_modules')) {
    if (name !== 'tsbuild') symlinkSync(path.resolve('node_modules', name), path.join(project, 'node_modules', name));
  }
  writeFileSync(path.join(project, 'package.json'), '{"type":"module"}');
});

after(() => rmSync(project, { recursive: true, force: true }));

test('the package runs as a command from its published files', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(
    execFileSync(path.join(installed, 'bin/tsbuild'), ['version'], { env, encoding: 'utf8' }),
    new RegExp(`^tsbuild ${version} `),
  );
  assert.match(execFileSync(path.join(installed, 'bin/tsbuild'), ['images'], { env, encoding: 'utf8' }), /^NAME /);
});

test('the package finds the libraries that it loads late', () => {
  const command = (...args: string[]) => spawnSync(path.join(installed, 'bin/tsbuild'), args, { env, encoding: 'utf8' });
  const unreachable = command('pull', '127.0.0.1:1/nothing:1');
  assert.match(unreachable.stderr, /ERR_TSBUILD_REGISTRY_UNREACHABLE/, unreachable.stderr);
  const archive = path.join(project, 'docs.tar');
  execFileSync('tar', ['-cf', archive, 'docs']);
  assert.equal(command('import', archive, 'docs:1').status, 0);
  const saved = command('save', 'docs:1', '-o', path.join(project, 'saved.tar'));
  assert.equal(saved.status, 0, saved.stderr);
  writeFileSync(path.join(project, 'Dockerfile'), 'FROM docs:1\nCOPY *.json /\n');
  const built = command('build', '-t', 'again:1', '--progress', 'plain', project);
  assert.equal(built.status, 0, built.stderr);
});

test('the package exports build() and its companions to JavaScript', () => {
  const script = `import * as t from 'tsbuild'; console.log(Object.keys(t).sort().join(' '), (await t.listImages({ root: process.argv[1] })).length)`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script, path.join(project, 'empty')], {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  assert.equal(
    printed.trim(),
    'TsbuildError build buildLog buildPage bundleImage checkDockerfile containerLogs createIndex diskUsage examineMachine importImage inspectBuild inspectContainer inspectImage inspectManifest isImageOutput killContainer listAttestations listBuilds listContainers listContext listImages listTargets logIn logOut openUpkeep outlineDockerfile parseAttestation parseCacheSource parseCacheTarget parseOutput pinBuilds prune pullImage pushImage pushIndex removeBuilds removeContainer removeImage runImage saveImage signImage stopContainer tagImage verifyImage waitForContainer writesToStdout 0',
  );
});

test('the package types check in a strict project of its user', () => {
  writeFileSync(
    path.join(project, 'use.ts'),
    `import { build, TsbuildError, type BuildResult } from 'tsbuild';
const result: BuildResult = await build({ context: '.', tags: ['app:1'], onEvent: (event) => { if (event.kind === 'step-end') event.durationMs; } });
const digest: \`sha256:\${string}\` = result.digest;
// @ts-expect-error: context is required
await build({});
export { digest, TsbuildError };
`,
  );
  const flags = [
    '--noEmit',
    '--strict',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
    '--module',
    'nodenext',
    '--types',
    'node',
  ];
  execFileSync(process.execPath, [path.resolve('node_modules/typescript/bin/tsc'), ...flags, 'use.ts'], { cwd: project, stdio: 'pipe' });
});

test('the package holds what users need and nothing of its workshop', () => {
  const names = readdirSync(installed);
  for (const name of ['bin', 'dist', 'docs', 'LICENSE', 'package.json']) assert.ok(names.includes(name), name);
  for (const name of ['src', 'test', 'bench', 'fixtures', 'scripts', 'node_modules']) assert.ok(!names.includes(name), name);
  assert.ok(statSync(path.join(installed, 'bin/tsbuild')).mode & 0o100);
});

test('package-lock.json holds every package that it names, so that npm ci accepts it', () => {
  type Locked = { packages: Record<string, { optionalDependencies?: Record<string, string> }> };
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Locked;
  const named = Object.values(packages).flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}));
  assert.deepEqual(
    named.filter((name) => packages[`node_modules/${name}`] === undefined),
    [],
  );
});
