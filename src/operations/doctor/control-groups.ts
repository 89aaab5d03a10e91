/** Control groups: what --memory, --cpus and --pids-limit need. cgroups(7) */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readHierarchies } from '../../sandbox/cgroup/hierarchies.ts';
import type { Finding } from './finding.ts';

export interface CgroupFacts {
  readonly layout: 'v2' | 'v1' | 'hybrid' | 'none';
  /** Controllers by the hierarchy's version. */
  readonly controllers: { readonly v1: readonly string[]; readonly v2: readonly string[] };
  /** Of memory, cpu and pids: those in whose group of this process another one can be made. */
  readonly writable: readonly string[];
}

const NEEDED = ['memory', 'cpu', 'pids'] as const;

export function readCgroupFacts(): CgroupFacts {
  const hierarchies = readHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8')).map(
    (hierarchy) => ({ ...hierarchy, controllers: hierarchy.version === 1 ? hierarchy.controllers : controllersAt(hierarchy.own) }),
  );
  const v1 = hierarchies.filter(({ version }) => version === 1);
  const v2 = hierarchies.filter(({ version }) => version === 2);
  const layout = v1.length > 0 ? (v2.length > 0 ? 'hybrid' : 'v1') : v2.length > 0 ? 'v2' : 'none';
  const writable = NEEDED.filter((name) => hierarchies.some(({ controllers, own }) => controllers.includes(name) && isWritable(own)));
  return { layout, controllers: { v1: v1.flatMap((it) => it.controllers), v2: v2.flatMap((it) => it.controllers) }, writable };
}

export function cgroupFindings({ layout, controllers, writable }: CgroupFacts): Finding[] {
  const about = { group: 'control groups', id: 'cgroups.limits', title: 'limits of a step' } as const;
  const all = [...controllers.v1.map((name) => `${name} (v1)`), ...controllers.v2.map((name) => `${name} (v2)`)];
  const kind: Finding = {
    ...{ group: 'control groups', id: 'cgroups.layout', title: 'control groups', state: layout === 'none' ? 'limited' : 'ok' },
    found: layout === 'none' ? 'none are mounted' : `${layout}: ${all.join(', ') || 'no controllers'}`,
    ...(layout === 'none' ? { means: 'steps cannot be limited', fix: 'Mount cgroup2 on /sys/fs/cgroup.' } : {}),
  };
  const lacking = NEEDED.filter((name) => !writable.includes(name));
  if (lacking.length === 0) return [kind, { ...about, state: 'ok', found: `${writable.join(', ')} can be set` }];
  return [
    kind,
    {
      ...about,
      state: 'limited',
      found: `${lacking.join(', ')} cannot be set by this user`,
      means: 'builds run, but not with flags that limit these',
      fix: 'Root needs nothing more; others, on cgroup v2: systemd-run --user --scope -p Delegate=yes tsbuild ...',
    },
  ];
}

function controllersAt(place: string): string[] {
  const file = path.join(place, 'cgroup.controllers');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split(/\s+/)
    .filter((name) => name !== '');
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
