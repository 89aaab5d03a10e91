/** What builds without root stand on: user namespaces, subordinate ids, and the programs that may map them. user_namespaces(7), subuid(5) */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { AT_FDCWD } from '../../sys/open.ts';
import type { Attempt } from '../../sys/try-program.ts';
import { getXattrAt } from '../../sys/xattr.ts';
import { fromText } from '../../tree/byte-string.ts';
import { attemptText, tryUserNamespace, tryUserOverlay } from './attempts.ts';
import { findProgram } from './find-program.ts';
import { type Asker, type Finding, isRoot } from './finding.ts';

export interface RootlessFacts {
  readonly asker: Asker;
  readonly namespace: Attempt;
  readonly overlay: Attempt;
  /** Settings of the kernel that forbid user namespaces, `name=value`. */
  readonly forbidding: readonly string[];
  /** How many ids /etc/subuid and /etc/subgid give the user. */
  readonly ids: { readonly users: number; readonly groups: number };
  readonly mappers: readonly Mapper[];
}

export interface Mapper {
  readonly name: 'newuidmap' | 'newgidmap';
  readonly path: string | undefined;
  /** Set-user-ID, or with file capabilities. */
  readonly privileged: boolean;
}

/** Images use ids up to nobody's, 65534. */
const IDS_WANTED = 65_536;
const SETTINGS: readonly (readonly [file: string, forbids: string])[] = [
  ['kernel/unprivileged_userns_clone', '0'],
  ['kernel/apparmor_restrict_unprivileged_userns', '1'],
  ['user/max_user_namespaces', '0'],
];

export async function readRootlessFacts(asker: Asker): Promise<RootlessFacts> {
  return {
    asker,
    namespace: await tryUserNamespace(asker),
    overlay: await tryUserOverlay(asker),
    forbidding: SETTINGS.flatMap(([file, forbids]) => {
      const found = readIfThere(`/proc/sys/${file}`).trim();
      return found === forbids ? [`${file.replaceAll('/', '.')}=${found}`] : [];
    }),
    ids: { users: countIds(readIfThere('/etc/subuid'), asker), groups: countIds(readIfThere('/etc/subgid'), asker) },
    mappers: (['newuidmap', 'newgidmap'] as const).map(findMapper),
  };
}

export function rootlessFindings(facts: RootlessFacts): Finding[] {
  return [namespaceFinding(facts), overlayFinding(facts), idsFinding(facts), mapperFinding(facts)];
}

/** Lines of subuid(5), `name-or-uid:first:count`, of one user. */
export function countIds(text: string, { uid, name }: Asker): number {
  const counts = text.split('\n').map((line) => {
    const [owner, , count = ''] = line.split(':');
    return (owner === name || owner === String(uid)) && /^\d+$/.test(count.trim()) ? Number(count) : 0;
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

function namespaceFinding({ asker, namespace, forbidding }: RootlessFacts): Finding {
  const about = { group: 'without root', id: 'rootless.namespaces', title: 'user namespaces' } as const;
  if (namespace.outcome === 'works') return { ...about, state: 'ok', found: 'an ordinary user can make them' };
  return {
    ...about,
    state: isRoot(asker) ? 'limited' : 'missing',
    found: [attemptText(namespace), ...forbidding].join('; '),
    means: 'only root can build',
    fix: fixOf(forbidding),
  };
}

function fixOf([first]: readonly string[]): string {
  if (first === undefined) return 'Inside Docker: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined.';
  const [name = ''] = first.split('=');
  const value = name.endsWith('max_user_namespaces') ? '15000' : name.endsWith('restrict_unprivileged_userns') ? '0' : '1';
  return `sysctl -w ${name}=${value}`;
}

function overlayFinding({ asker, overlay }: RootlessFacts): Finding {
  const about = { group: 'without root', id: 'rootless.overlay', title: 'overlay in them', found: attemptText(overlay) } as const;
  if (overlay.outcome === 'works') return { ...about, state: 'ok' };
  return {
    ...about,
    state: isRoot(asker) ? 'limited' : 'missing',
    means: 'an ordinary user cannot mount layers',
    fix: 'Linux 5.11 or later has it.',
  };
}

function idsFinding({ asker, ids }: RootlessFacts): Finding {
  const about = { group: 'without root', id: 'rootless.ids', title: 'subordinate ids' } as const;
  const found = `${ids.users} users and ${ids.groups} groups for ${asker.name}`;
  if (isRoot(asker)) return { ...about, state: 'ok', found: 'root needs none' };
  if (Math.min(ids.users, ids.groups) >= IDS_WANTED) return { ...about, state: 'ok', found };
  return {
    ...about,
    state: 'limited',
    found,
    means: 'a step has one id only: files of other owners cannot be made',
    fix: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${asker.name}`,
  };
}

function mapperFinding({ asker, mappers }: RootlessFacts): Finding {
  const about = { group: 'without root', id: 'rootless.mappers', title: 'newuidmap, newgidmap' } as const;
  const bad = mappers.filter(({ privileged }) => !privileged);
  if (bad.length === 0) return { ...about, state: 'ok', found: mappers.map((mapper) => mapper.path).join(', ') };
  const found = bad.map(({ name, path }) => (path === undefined ? `no ${name}` : `${path} is not set-user-ID`)).join(', ');
  if (isRoot(asker)) return { ...about, state: 'ok', found: `${found}; root needs neither` };
  return {
    ...about,
    state: 'limited',
    found,
    means: 'subordinate ids cannot be used',
    fix: 'apt-get install uidmap (Fedora: shadow-utils)',
  };
}

function findMapper(name: Mapper['name']): Mapper {
  const path = findProgram(name);
  const privileged =
    path !== undefined &&
    ((lstatSync(path).mode & 0o4000) !== 0 || getXattrAt(AT_FDCWD, fromText(path), 'security.capability') !== undefined);
  return { name, path, privileged };
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
