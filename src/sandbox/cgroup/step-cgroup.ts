/** A control group for one container, on whatever mixture of version 1 and 2 the machine has. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { milliseconds } from '../../clock.ts';
import { cannotLimit, errorCode, refusedByKernel } from './cgroup-error.ts';
import { type CgroupLimits, type Controller, isLimited, type Knob, knobsOfV1, knobsOfV2 } from './cgroup-limits.ts';
import { type CgroupRecord, isOwnGroup, openRecord, removeGroup } from './cgroup-records.ts';
import { type Hierarchy, readHierarchies } from './hierarchies.ts';
import { enabled, findBase } from './unified-base.ts';

export interface StepCgroup {
  /** Files that the container's first process writes `0` to, to be in it. */
  readonly join: readonly string[];
  /** How many of its processes the kernel has killed for want of memory. */
  oomKills(): number;
  /** Once its processes are gone. */
  remove(): Promise<void>;
}

/** A name for the group that an OCI runtime makes, in every hierarchy that it may use. */
export interface ReservedCgroup {
  /** Below the tops of the hierarchies, with a leading slash. */
  readonly path: string;
  /** What is left of it, once its processes are gone. */
  remove(): Promise<void>;
}

export interface CgroupMaker {
  /** Makes nothing: what a runtime makes there is remembered, and removed even where this process is killed. */
  reserve(parent: string | undefined): ReservedCgroup;
  /** undefined where nothing is limited. Throws LIMIT_UNAVAILABLE, and has then made nothing. */
  make(limits: CgroupLimits): StepCgroup | undefined;
}

/** How long a group may stay busy after its last process has been reaped. */
const REMOVE_MS = 1000;
const REMOVE_INTERVAL_MS = 5;
const TRIES_MAX = 20;

/** `directory` keeps the records of what was made, for the case that this process is killed. */
export function openCgroups(directory: string): CgroupMaker {
  return {
    reserve(parent = '') {
      const record = openRecord(directory);
      const path = join('/', parent, `tsbuild-${record.id}`);
      const groups = visibleHierarchies().map(({ top }) => join(top, path));
      for (const group of groups) record.add(group);
      return { path, remove: async () => await removeGroups(groups, record) };
    },
    make(limits) {
      if (!isLimited(limits)) return undefined;
      const hierarchies = visibleHierarchies();
      const record = openRecord(directory);
      const groups: Group[] = [];
      try {
        for (const share of sharesOf(limits, hierarchies)) groups.push(makeGroup(share, limits, { directory, record }));
        return stepCgroup(groups, record);
      } catch (error) {
        if (groups.every(({ made }) => made.toReversed().every(removeGroup))) record.remove();
        else record.abandon();
        throw error;
      }
    },
  };
}

/** Another file system may lie on top of one that is mounted. */
function visibleHierarchies(): Hierarchy[] {
  const all = readHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  return all.filter(({ own }) => existsSync(join(own, 'cgroup.procs')));
}

/** What one hierarchy has to do. */
interface Share {
  readonly hierarchy: Hierarchy;
  readonly controllers: readonly Controller[];
}

interface Group {
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
  readonly directory: string;
  /** Outer ones first. */
  readonly made: readonly string[];
}

/** A controller belongs to version 1 where that has mounted it. */
function sharesOf(limits: CgroupLimits, hierarchies: readonly Hierarchy[]): Share[] {
  const asked = new Set(knobsOfV1(limits).map(({ controller }) => controller));
  // A parent alone: its limits are to count.
  const wanted: readonly Controller[] = asked.size > 0 ? [...asked] : ['memory', 'cpu', 'pids'];
  const shares = new Map<Hierarchy, Controller[]>();
  for (const controller of wanted) {
    const hierarchy =
      hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes(controller)) ??
      hierarchies.find(
        ({ version, own }) => version === 2 && readFileSync(join(own, 'cgroup.controllers'), 'utf8').trim().split(' ').includes(controller),
      ) ??
      (hierarchies.some(({ version }) => version === 1) ? undefined : hierarchies.find(({ version }) => version === 2));
    if (hierarchy === undefined) {
      throw cannotLimit(controller, `this process sees no control groups with the controller ${controller}, of version 1 or 2`, {
        hint: 'They belong below /sys/fs/cgroup: mount them there, or leave the limit out.',
      });
    }
    shares.set(hierarchy, [...(shares.get(hierarchy) ?? []), controller]);
  }
  return [...shares].map(([hierarchy, controllers]) => ({ hierarchy, controllers }));
}

/** Another command that ends takes the parent away as soon as that is empty: then it is made again. */
function makeGroup(share: Share, limits: CgroupLimits, records: Records): Group {
  for (let tries = 1; ; tries++) {
    try {
      return tryGroup(share, limits, records);
    } catch (error) {
      const isGone = error instanceof Error && ['ENOENT', 'ENODEV'].includes(errorCode(error.cause) ?? '');
      if (!isGone || limits.cgroupParent === undefined || tries === TRIES_MAX) throw error;
    }
  }
}

function tryGroup({ hierarchy, controllers }: Share, limits: CgroupLimits, records: Records): Group {
  const { record } = records;
  const made: string[] = [];
  try {
    const base = baseOf({ hierarchy, controllers }, { parent: limits.cgroupParent, ...records, made });
    const directory = join(base, `tsbuild-${record.id}`);
    makeDirectory(directory, controllers, { record, made });
    if (hierarchy.version === 1 && controllers.includes('cpuset')) inheritCpuset(base, directory);
    const knobs = hierarchy.version === 1 ? knobsOfV1(limits) : knobsOfV2(limits);
    for (const knob of knobs) if (controllers.includes(knob.controller)) turn(directory, knob);
    return { version: hierarchy.version, controllers, directory, made };
  } catch (error) {
    made.toReversed().every(removeGroup);
    throw error;
  }
}

/** This container's record, and the directory that it lies in with those of others. */
interface Records {
  readonly directory: string;
  readonly record: CgroupRecord;
}

interface Making {
  readonly record: CgroupRecord;
  readonly made: string[];
}

/** The directory that the step's is made in. */
function baseOf(
  { hierarchy, controllers }: Share,
  { parent, directory: records, ...making }: Making & Records & { parent: string | undefined },
): string {
  const { own, top, version } = hierarchy;
  if (parent === undefined) return version === 1 ? own : findBase(hierarchy, controllers, records);
  let directory = parent.startsWith('/') ? top : own;
  for (const name of parent.split('/').filter((part) => part !== '')) {
    if (version === 2) enabled(directory, controllers);
    const inner = join(directory, name);
    if (!existsSync(inner)) {
      makeDirectory(inner, controllers, making);
      if (version === 1 && controllers.includes('cpuset')) inheritCpuset(directory, inner);
    }
    directory = inner;
  }
  return version === 2 ? enabled(directory, controllers) : directory;
}

function makeDirectory(directory: string, [controller = 'memory']: readonly Controller[], { record, made }: Making): void {
  record.add(directory);
  try {
    mkdirSync(directory);
  } catch (error) {
    // Another command was faster with the parent of both.
    if (errorCode(error) === 'EEXIST' && !isOwnGroup(directory)) return;
    throw refusedByKernel(controller, `make the control group ${directory}`, error);
  }
  made.push(directory);
}

/** In version 1 a new group has no CPU and no memory node, and takes no process before it has. cpusets.rst */
function inheritCpuset(from: string, to: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) writeFileSync(join(to, file), readFileSync(join(from, file)));
}

function turn(directory: string, { controller, file, value, optional }: Knob): void {
  const path = join(directory, file);
  try {
    writeFileSync(path, value, { flag: 'r+' });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' && optional === true) return;
    if (code === 'ENOENT') {
      const hint = file.includes('sw') ? 'The kernel counts swap when it is booted with swapaccount=1.' : undefined;
      throw cannotLimit(controller, `this kernel has no ${file}`, { ...(hint === undefined ? {} : { hint }), cause: error });
    }
    if (code === 'EINVAL' || code === 'ERANGE' || code === 'EACCES')
      throw cannotLimit(controller, `${file} does not take ${value} (${code})`, { cause: error });
    throw refusedByKernel(controller, `write ${path}`, error);
  }
}

function stepCgroup(groups: readonly Group[], record: CgroupRecord): StepCgroup {
  const memory = groups.find(({ controllers }) => controllers.includes('memory'));
  return {
    join: groups.map(({ directory }) => join(directory, 'cgroup.procs')),
    oomKills: () => (memory === undefined ? 0 : oomKills(memory)),
    remove: async () =>
      await removeGroups(
        groups.flatMap((group) => group.made.toReversed()),
        record,
      ),
  };
}

async function removeGroups(groups: readonly string[], record: CgroupRecord): Promise<void> {
  const deadline = milliseconds() + REMOVE_MS;
  let isGone = groups.map(removeGroup);
  // For a parent that others use nobody waits: the next command looks again.
  while (groups.some((group, index) => isGone[index] === false && isOwnGroup(group)) && milliseconds() < deadline) {
    await sleep(REMOVE_INTERVAL_MS);
    isGone = groups.map(removeGroup);
  }
  if (isGone.includes(false)) record.abandon();
  else record.remove();
}

/** Line `oom_kill N`, in version 1 since Linux 4.13. */
function oomKills({ version, directory }: Group): number {
  const text = readFileSync(join(directory, version === 1 ? 'memory.oom_control' : 'memory.events'), 'utf8');
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}
