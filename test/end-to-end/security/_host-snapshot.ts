/**
 * HOSTDIFF: what this machine's own files, devices and mounts are, so that a test can show that a build left them as they were.
 * Other programs run beside the tests: places that they change by right (accounts, temporary folders of others) do not count.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, type Stats, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface HostSnapshot {
  readonly places: readonly string[];
  /** A path, or a mount → all that is known of it. */
  readonly facts: ReadonlyMap<string, string>;
}

/** What a container that gets out meets first: settings, programs, the node that runs tsbuild, tsbuild itself, devices. */
const PLACES = ['/etc', '/usr/local', '/dev', '/boot', process.execPath, path.resolve('bin'), path.resolve('dist')];
/** Temporary and volatile places: what is in them counts only where a test names it. */
const OF_OTHERS = /^\/(tmp|var\/tmp|run|var\/lib|var\/run|root|home|work)\//;
/** Tests make users; the line of root is what counts. */
const ACCOUNTS = /^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)([-+.].*)?$|^\/etc\/\.pwd\.lock$/;
/** `_rootless.ts` */
const OF_TESTS = /^tsb[0-9a-f]{10}:/;
/** Of larger files, nobody can set back the ctime. */
const HASHED_MAX = 64 * 1024;
/** Contents that change by themselves. */
const ALIVE = /^\/dev\/(pts|shm|mqueue)\//;

/** `places` are looked at beside those of every machine: trees that a test planted for attackers to find. */
export function hostSnapshot(places: readonly string[] = []): HostSnapshot {
  const all = [...PLACES, ...places];
  const facts = new Map<string, string>();
  for (const place of all) note(place, facts);
  for (const mount of mountsThatCount(places)) facts.set(`mount ${mount}`, 'there');
  for (const place of places) facts.set(`xattrs ${place}`, xattrs(place));
  return { places, facts };
}

/** Throws, with the first differences, where the machine is not as it was. */
export function assertSameHost(before: HostSnapshot): void {
  const now = hostSnapshot(before.places).facts;
  const names = new Set([...before.facts.keys(), ...now.keys()]);
  const changed = [...names].filter((name) => before.facts.get(name) !== now.get(name));
  const told = changed.slice(0, 10).map((name) => `${name}: ${before.facts.get(name) ?? 'not there'} → ${now.get(name) ?? 'not there'}`);
  assert.deepEqual(told, [], `${changed.length} differences on the host`);
}

/** A tree for attackers to change: files, directories and a link. Returns its path. */
export function plantVictim(directory: string, canary: string): string {
  const victim = path.join(directory, 'victim');
  mkdirSync(path.join(victim, 'b/c'), { recursive: true });
  writeFileSync(path.join(victim, 'canary'), `${canary}\n`);
  writeFileSync(path.join(victim, 'hostname'), `${canary}\n`);
  writeFileSync(path.join(victim, 'ptmx'), '');
  symlinkSync('canary', path.join(victim, 'link'));
  return victim;
}

function note(place: string, facts: Map<string, string>): void {
  const stat = lstatSync(place, { throwIfNoEntry: false });
  if (stat === undefined) return;
  facts.set(place, describe(place, stat));
  if (!stat.isDirectory()) return;
  for (const name of readdirSync(place)) {
    const below = path.join(place, name);
    if (!ALIVE.test(below)) note(below, facts);
  }
}

function describe(place: string, stat: Stats): string {
  if (ACCOUNTS.test(place)) return stat.isFile() ? firstLine(place) : 'not a file';
  const { mode, uid, gid, rdev, ino, nlink, size, mtimeMs, ctimeMs } = stat;
  const owner = `${mode.toString(8)} ${uid}:${gid}`;
  // A terminal's times follow its use, and /etc its accounts.
  if (stat.isCharacterDevice() || stat.isBlockDevice()) return `${owner} ${rdev} ${ino}`;
  if (stat.isDirectory() && /^\/(etc|dev)(\/|$)/.test(place)) return `${owner} ${ino}`;
  const same = `${owner} ${ino} ${nlink} ${size} ${mtimeMs} ${ctimeMs}`;
  if (stat.isSymbolicLink()) return `${same} -> ${readlinkSync(place)}`;
  return stat.isFile() && size <= HASHED_MAX ? `${same} ${createHash('sha256').update(readFileSync(place)).digest('hex')}` : same;
}

function firstLine(file: string): string {
  return /^.*\.lock$|-$/.test(file)
    ? ''
    : (readFileSync(file, 'utf8')
        .split('\n')
        .find((line) => !OF_TESTS.test(line)) ?? '');
}

/** Mount points of this namespace, with options. */
function mountsThatCount(places: readonly string[]): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  return lines
    .map((line) => line.split(' ').slice(2).join(' '))
    .filter((line) => {
      const point = line.split(' ')[2] ?? '';
      return !OF_OTHERS.test(point) || places.some((place) => point.startsWith(place));
    });
}

function xattrs(place: string): string {
  return execFileSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '--absolute-names', place], { encoding: 'utf8' });
}
