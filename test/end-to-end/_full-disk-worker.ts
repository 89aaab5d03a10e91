/** Runs in namespaces of its own: builds on file systems that are too small. A FullDiskJob on standard input, a FullDiskReport a line on standard output. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { checkState, referenced } from '../store/_check-state.ts';
import { copyState, KEPT, outcomeOf, type ReferenceBuild, runReference } from './_reference-build.ts';

/** `tmpfs`: mount options of the small one, and of the one that it becomes. `ext4`: its size in KiB; it becomes 64 MiB. */
export type SmallDisk = { readonly tmpfs: string; readonly grown: string } | { readonly ext4: number };

export interface FullDiskJob {
  readonly reference: ReferenceBuild;
  readonly directory: string;
  readonly disks: readonly SmallDisk[];
}

export interface FullDiskReport {
  readonly disk: SmallDisk;
  readonly code: number | null;
  /** The error in one line. */
  readonly error: string;
  readonly problems: readonly string[];
}

const job = (await json(process.stdin)) as FullDiskJob;
const mount = path.join(job.directory, 'mount');
const image = path.join(job.directory, 'disk.img');
const state = path.join(mount, 'state');
mkdirSync(mount, { recursive: true });
for (const disk of job.disks) console.log(JSON.stringify(await tryDisk(disk)));
rmSync(job.directory, { recursive: true, force: true });

async function tryDisk(disk: SmallDisk): Promise<FullDiskReport> {
  mountSmall(disk);
  try {
    copyState(job.reference.prepared, state);
    const free = freeOf(mount);
    const began = performance.now();
    const result = await runReference(job.reference, state);
    const seconds = (performance.now() - began) / 1000;
    const error = /ERR_TSBUILD_\w+: .*/.exec(result.stderr)?.[0] ?? result.stderr.slice(-400);
    const problems = result.code === 0 ? [] : afterFailure(result.code, result.stderr);
    if (seconds > 15) problems.push(`it took ${seconds} s`);
    grow(disk);
    const again = await runReference(job.reference, state);
    if (again.code !== 0) problems.push(`with room the build ended with ${again.code}: ${again.stderr.slice(-500)}`);
    else {
      const { digest, archive } = outcomeOf(state, again);
      const { clean } = job.reference;
      if (digest !== clean.digest || archive !== clean.archive) problems.push(`with room the build made ${digest}`);
      problems.push(...checkState(state, 'settled'));
      const finished = (text: string): number => text.match(/^#\d+ (DONE|CACHED)/gm)?.length ?? 0;
      const cached = again.stderr.match(/^#\d+ CACHED/gm)?.length ?? 0;
      // The FROMs and the step that failed are none of the cache.
      if (finished(result.stderr) > 4 && cached === 0) problems.push('with room the build began anew');
    }
    return { disk, code: result.code, error: `${error} (free before: ${free})`, problems };
  } finally {
    execFileSync('umount', [mount]);
  }
}

function afterFailure(code: number | null, stderr: string): string[] {
  const problems = checkState(state, 'crashed').map((fault) => `at once: ${fault}`);
  if (referenced(state, KEPT) !== job.reference.kept) problems.push('the older image is gone');
  // A command that finds no room says so itself.
  if (code !== 74 && !(code === 1 && /No space left on device|Disk quota exceeded/.test(stderr))) problems.push(`exit code ${code}`);
  if (code === 74 && !stderr.includes(mount)) problems.push('the error does not say where');
  return problems;
}

function freeOf(directory: string): string {
  const { bavail, bsize, ffree } = statfsSync(directory);
  return `${(bavail * bsize) >> 10} KiB, ${ffree} inodes`;
}

function mountSmall(disk: SmallDisk): void {
  if ('tmpfs' in disk) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', disk.tmpfs, 'none', mount]);
    return;
  }
  rmSync(image, { force: true });
  execFileSync('truncate', ['-s', `${disk.ext4}K`, image]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', '-b', '1024', image]);
  execFileSync('mount', ['-o', 'loop', image, mount]);
}

function grow(disk: SmallDisk): void {
  if ('tmpfs' in disk) {
    execFileSync('mount', ['-o', `remount,${disk.grown}`, mount]);
    return;
  }
  execFileSync('umount', [mount]);
  execFileSync('truncate', ['-s', '64M', image]);
  execFileSync('e2fsck', ['-fp', image], { stdio: 'ignore' });
  execFileSync('resize2fs', [image], { stdio: 'ignore' });
  execFileSync('mount', ['-o', 'loop', image, mount]);
}
