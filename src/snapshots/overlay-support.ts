/** Whether the kernel mounts overlays whose upper directory is in the state directory. */
import { mkdirSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { idScope } from '../sys/ids.ts';
import type { Operation } from '../sys/syscall-program.ts';
import { tryProgram } from '../sys/try-program.ts';

/** linux/magic.h: tmpfs, ext4, xfs, btrfs, f2fs. On others it is tried. */
const KNOWN_GOOD: ReadonlySet<number> = new Set([0x01021994, 0xef53, 0x58465342, 0x9123683e, 0xf2f52010]);
const CLONE_NEWNS = 0x00020000;
const MS_PRIVATE = 1 << 18;
const MS_REC = 0x4000;

/** `scratch`: an empty directory there, of the caller alone. Undefined where it can; why not otherwise. */
export async function whyNoOverlay(scratch: string): Promise<string | undefined> {
  if (KNOWN_GOOD.has(statfsSync(scratch).type)) return undefined;
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(path.join(scratch, name));
  const attempt = await tryProgram(program(scratch), CLONE_NEWNS);
  switch (attempt.outcome) {
    case 'works':
      return undefined;
    case 'refused':
      return `${attempt.what}: ${attempt.errno}`;
    case 'untried':
      return 'it cannot be tried here';
  }
}

function program(scratch: string): Operation[] {
  const options = `${idScope() === 'machine' ? '' : 'userxattr,'}lowerdir=lower,upperdir=upper,workdir=work`;
  return [
    { syscall: 'mount', arguments: [0, { text: '/' }, 0, MS_REC | MS_PRIVATE, 0], subject: '/ apart from the host' },
    { syscall: 'chdir', arguments: [{ text: scratch }], subject: scratch },
    {
      syscall: 'mount',
      arguments: [{ text: 'overlay' }, { text: 'merged' }, { text: 'overlay' }, 0, { text: options }],
      subject: 'an overlay',
    },
  ];
}
