/** Where this process stands in the control groups of its machine: version 2, version 1, or some controllers in each. Pure. */

export interface Hierarchy {
  readonly version: 1 | 2;
  /** Of version 1: those mounted together. Version 2 lists its own in a file. */
  readonly controllers: readonly string[];
  /** Where its file system is mounted. */
  readonly top: string;
  /** This process's control group, as a directory below `top`. */
  readonly own: string;
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly isWritable: boolean;
  readonly options: readonly string[];
}

/** From /proc/self/mountinfo and /proc/self/cgroup, proc(5) and cgroups(7). What this process cannot see of them is left out. */
export function readHierarchies(mountinfo: string, cgroup: string): Hierarchy[] {
  const mounts = mountinfo.split('\n').flatMap(parseMount);
  return cgroup.split('\n').flatMap((line) => {
    const [, id = '', names = '', path = ''] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const version = id === '0' && names === '' ? 2 : 1;
    const controllers = names.split(',').filter((name) => name !== '');
    const candidates = mounts.filter(({ type, options }) =>
      version === 2
        ? type === 'cgroup2'
        : type === 'cgroup' && controllers.length > 0 && controllers.every((name) => options.includes(name)),
    );
    const places = candidates.flatMap((mount): (Hierarchy & Pick<Mount, 'isWritable'>)[] => {
      const own = placeIn(mount, path);
      return own === undefined ? [] : [{ version, controllers, top: mount.point, own, isWritable: mount.isWritable }];
    });
    const best = places.find(({ isWritable }) => isWritable) ?? places[0];
    if (best === undefined) return [];
    const { isWritable: _, ...hierarchy } = best;
    return [hierarchy];
  });
}

/** `36 35 98:0 /root /point rw,noatime shared:1 - type source options` */
function parseMount(line: string): Mount[] {
  const [, root = '', point = '', flags = '', type = '', options = ''] =
    /^\d+ \d+ \S+ (\S+) (\S+) (\S+)(?: [^-]\S*)* - (\S+) \S+ (\S+)$/.exec(line) ?? [];
  if (type !== 'cgroup' && type !== 'cgroup2') return [];
  return [
    { root: unescaped(root), point: unescaped(point), type, isWritable: flags.split(',').includes('rw'), options: options.split(',') },
  ];
}

/** A mount shows the groups below its root only; names above a namespace's root start with `/..`. */
function placeIn({ root, point }: Mount, path: string): string | undefined {
  if (path.startsWith('/..')) return undefined;
  if (root === '/') return path === '/' ? point : `${point}${path}`;
  if (path === root) return point;
  return path.startsWith(`${root}/`) ? `${point}${path.slice(root.length)}` : undefined;
}

/** mountinfo writes blanks, tabs, line breaks and backslashes as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
