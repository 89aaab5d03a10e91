/** Numbers of the system calls that programs use: asm/unistd.h of x86-64 and of arm64 (asm-generic). */
export type Architecture = 'x64' | 'arm64';

const NUMBERS = {
  bind: [49, 200],
  capset: [126, 91],
  chdir: [80, 49],
  chroot: [161, 51],
  close: [3, 57],
  close_range: [436, 436],
  connect: [42, 203],
  dup3: [292, 24],
  execveat: [322, 281],
  fchdir: [81, 50],
  fchown: [93, 55],
  fchownat: [260, 54],
  fcntl: [72, 25],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  getcwd: [79, 17],
  ioctl: [16, 29],
  keyctl: [250, 219],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  openat: [257, 56],
  openat2: [437, 437],
  open_tree: [428, 428],
  pivot_root: [155, 41],
  ppoll: [271, 73],
  prctl: [157, 167],
  prlimit64: [302, 261],
  read: [0, 63],
  seccomp: [317, 277],
  sendmsg: [46, 211],
  setdomainname: [171, 162],
  setfsgid: [123, 152],
  setfsuid: [122, 151],
  setgroups: [116, 159],
  sethostname: [170, 161],
  setns: [308, 268],
  setresgid: [119, 149],
  setresuid: [117, 147],
  setsid: [112, 157],
  socket: [41, 198],
  symlinkat: [266, 36],
  umask: [95, 166],
  umount2: [166, 39],
  unshare: [272, 97],
  write: [1, 64],
} as const satisfies Record<string, readonly [number, number]>;

export type SyscallName = keyof typeof NUMBERS;

export function syscallNumber(name: SyscallName, architecture: Architecture): number {
  const [x64, arm64] = NUMBERS[name];
  return architecture === 'x64' ? x64 : arm64;
}
