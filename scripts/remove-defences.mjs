#!/usr/bin/env node
/**
 * remove-defences.mjs [--sample N [--seed S]] [WORD...]: takes each defence of test/defences.json away in turn, in a copy of this
 * repository, and runs the tests that are to notice. Prints a line each; fails when a defence can go and nobody does. Needs root.
 * WORD...: only those whose name or file has it. --sample: so many of them, by chance.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const COPIED = ['src', 'test', 'scripts', 'bin', 'fixtures', 'package.json', 'tsconfig.json', 'tsconfig.types.json'];
const TEST_MS = 180_000;

const { values, positionals } = parseArgs({
  options: { sample: { type: 'string' }, seed: { type: 'string' } },
  allowPositionals: true,
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const all = JSON.parse(readFileSync(path.join(REPOSITORY, 'test/defences.json'), 'utf8'));
const chosen = sample(all.filter(({ name, file }) => positionals.every((word) => `${name} ${file}`.includes(word))));
const copy = makeCopy();
const temporary = path.join(copy, 'tmp');
const users = testUsers();
tidy();
try {
  build(true);
  const sound = new Set();
  const survivors = [];
  for (const defence of chosen) if (!(await isNoticedOrToldWhy(defence, sound))) survivors.push(defence);
  console.log(
    `${chosen.length - survivors.length} of ${chosen.length} removed defences were noticed${values.sample ? ` (seed ${seed})` : ''}`,
  );
  for (const { name, file } of survivors) console.log(`survives: ${name} (${file})`);
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

/** What cannot be tried counts as a survivor, and the others are tried all the same. */
async function isNoticedOrToldWhy(defence, sound) {
  try {
    return await isNoticed(defence, sound);
  } catch (error) {
    console.log(`UNTRIED  ${defence.name}: ${error.message}`);
    return false;
  }
}

/** Whether one of its tests fails without it; that they pass with it is tried once. */
async function isNoticed(defence, sound) {
  const began = performance.now();
  for (const test of defence.tests) {
    if (!sound.has(test) && !(await passes(test))) throw new Error(`${test} fails with all defences in place:\n${failed.join('\n')}`);
    sound.add(test);
  }
  const file = path.join(copy, defence.file);
  const text = readFileSync(file, 'utf8');
  if (text.split(defence.text).length !== 2) throw new Error(`${defence.name}: its text is not once in ${defence.file}`);
  replaceFile(
    file,
    text.replace(defence.text, () => defence.without),
  );
  let noticed;
  try {
    noticed = build(defence.tests.some((test) => test.includes('end-to-end'))) ? await firstThatFails(defence.tests) : undefined;
    if (noticed === undefined && !isCompiled) throw new Error(`${defence.name}: what is left does not compile`);
  } finally {
    replaceFile(file, text);
    build(true);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`${noticed === undefined ? 'SURVIVES' : 'noticed '} ${defence.name} (${noticed ?? defence.tests.join(' ')}, ${seconds} s)`);
  return noticed !== undefined;
}

var isCompiled;
var failed;

/** Types may be wrong without a defence (an import that nobody needs any more): only the programs count. */
function build(whole) {
  const { stdout } = spawnSync(
    path.join(copy, 'node_modules/.bin/tsc'),
    ['-p', '.', '--outDir', '.build', '--noUnusedLocals', 'false', '--noUnusedParameters', 'false'],
    {
      cwd: copy,
      encoding: 'utf8',
    },
  );
  isCompiled = !/error TS1\d\d\d:/.test(stdout ?? '');
  if (!isCompiled) console.log(stdout);
  if (whole && isCompiled) execFileSync(process.execPath, ['scripts/build.mjs', '--no-types'], { cwd: copy, stdio: 'ignore' });
  return isCompiled;
}

async function firstThatFails(tests) {
  for (const test of tests) if (!(await passes(test))) return test;
  return undefined;
}

/** A test that has failed once is not run to its end. */
async function passes(test) {
  const compiled = path.join('.build', test.replace(/\.ts$/, '.js'));
  if (!existsSync(path.join(copy, compiled))) throw new Error(`No such test: ${test}`);
  failed = [];
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', compiled], {
    cwd: copy,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, TMPDIR: temporary },
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = () => process.kill(-child.pid, 'SIGKILL');
  const timer = setTimeout(stop, TEST_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    if (!/^ *not ok/.test(line) || failed.push(line) > 1) continue;
    stop();
  }
  clearTimeout(timer);
  const code = await ended;
  tidy();
  return code === 0 && failed.length === 0;
}

/** Takes away what a test leaves that was killed: mounts, files, and users that were not there before. */
function tidy() {
  const points = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  for (const point of points.filter((each) => each.startsWith(`${temporary}/`)).reverse()) spawnSync('umount', ['-l', point]);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
  for (const user of testUsers()) if (!users.has(user)) spawnSync('userdel', [user], { stdio: 'ignore' });
}

function testUsers() {
  return new Set(readFileSync('/etc/passwd', 'latin1').match(/^tsb[0-9a-f]{10}(?=:)/gm));
}

function makeCopy() {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-defences-'));
  // Some tests are other users.
  chmodSync(directory, 0o755);
  for (const name of COPIED) cpSync(path.join(REPOSITORY, name), path.join(directory, name), { recursive: true });
  symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(directory, 'node_modules'));
  return directory;
}

/** A new file: the old one may have other names. */
function replaceFile(file, text) {
  unlinkSync(file);
  writeFileSync(file, text);
}

function sample(list) {
  if (values.sample === undefined) return list;
  let state = seed;
  const random = () => {
    // A linear congruential generator is random enough to choose by.
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  return list
    .map((defence) => ({ defence, at: random() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, Number(values.sample))
    .map(({ defence }) => defence);
}
