/**
 * Writes fixtures/lint/<case>/expected.txt: which rules BuildKit finds on which lines, and in what words.
 * TSBUILD_RECORD_DOCKER is the command that starts docker, `docker` by default.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const docker = (process.env.TSBUILD_RECORD_DOCKER ?? 'docker').split(' ');
const root = path.resolve('fixtures/lint');

for (const name of readdirSync(root).sort()) {
  const directory = path.join(root, name);
  const settings = path.join(directory, 'case.json');
  const { buildArgs = {}, target } = existsSync(settings) ? JSON.parse(readFileSync(settings, 'utf8')) : {};
  const flags = Object.entries(buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
  if (target !== undefined) flags.push('--target', target);
  const { warnings, buildError } = check([...flags, directory]);
  if (buildError !== undefined) console.error(`${name}: ${JSON.stringify(buildError)}`);
  const lines = (warnings ?? []).map(({ ruleName, detail, location }) => {
    const ranges = location.ranges.map(({ start, end }) => `${start.line}-${end.line}`);
    return `${ranges.join(',')} ${ruleName}: ${detail}`;
  });
  const sorted = lines.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1));
  writeFileSync(path.join(directory, 'expected.txt'), sorted.map((line) => `${line}\n`).join(''));
}

/** Exits with 1 where there are warnings; then the answer is on standard output all the same. */
function check(args) {
  const [command, ...first] = docker;
  const all = [...first, 'buildx', 'build', '--call=check,format=json', ...args];
  try {
    return JSON.parse(execFileSync(command, all, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
  } catch (error) {
    if (error.stdout?.startsWith('{')) return JSON.parse(error.stdout);
    console.error(error.stderr);
    return {};
  }
}
