/**
 * What a step without a PID namespace leaves where its first process was killed before it could end the rest: these become children of
 * tsbuild, which takes them for the time of the step, and are told from others by their root directory. prctl(2), proc(5)
 */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { pidfdOpen, pidfdSendSignal, setChildSubreaper, waitPidfd } from '../sys/process.ts';

export interface Orphans extends Disposable {
  /** Kills them all, and waits until they are gone. */
  end(): Promise<void>;
}

let takers = 0;

/** `directory` is the root of the step, `uid` its user. To be called before the step starts. */
export function takeOrphans({ directory, uid }: { readonly directory: string; readonly uid: number }): Orphans {
  const root = realpathSync(directory);
  const before = new Set(ownChildren());
  if (takers++ === 0) setChildSubreaper(true);
  return {
    async end() {
      for (;;) {
        const found = ownChildren().filter((pid) => !before.has(pid) && isOfStep(pid, { root, uid }));
        if (found.length === 0) return;
        await Promise.all(found.map(endChild));
      }
    },
    [Symbol.dispose]() {
      if (--takers === 0) setChildSubreaper(false);
    },
  };
}

/** Nobody else reaps it, so that its number is its own. */
async function endChild(pid: number): Promise<void> {
  const pidfd = pidfdOpen(pid);
  if (pidfd === undefined) return;
  pidfdSendSignal(pidfd, 'SIGKILL');
  await waitPidfd(pidfd);
}

function ownChildren(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) =>
    read(`/proc/self/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

/** Of another user's process nobody sees the root without CAP_SYS_PTRACE: then its user has to do. What has ended has no root. */
function isOfStep(pid: number, { root, uid }: { root: string; uid: number }): boolean {
  const status = read(`/proc/${pid}/status`);
  const isOfUser = uid !== 0 && new RegExp(`^Uid:\\t${uid}\\t`, 'm').test(status);
  const isInPlace = (/^NSpid:(.*)$/m.exec(status)?.[1] ?? '').trim().split(/\s+/).length === ownDepth();
  if (!isInPlace) return false;
  try {
    return readlinkSync(`/proc/${pid}/root`) === root;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES' && isOfUser;
  }
}

/** How many PID namespaces this process is in, as far as /proc shows them. */
function ownDepth(): number {
  return (/^NSpid:(.*)$/m.exec(read('/proc/self/status'))?.[1] ?? '').trim().split(/\s+/).length;
}

/** '' for a process or a thread that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
