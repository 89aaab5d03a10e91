/**
 * Starts a container by a node process that becomes it: for machines without our machine code. The helper (launch-helper.ts)
 * makes the PID namespace and stays as the parent of its second self, which walks the program and turns into PID 1.
 */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { entryFile } from '../sys/entry-file.ts';
import { makeMemoryFile } from '../sys/pipe.ts';
import { pidfdOpen, pidfdSendSignal } from '../sys/process.ts';
import { type ContainerProgram, hasPidNamespace } from './container-program.ts';
import type { Launch, LaunchInputs } from './launcher.ts';

/** The helper's descriptors from 0 on; launch-helper.ts knows them. 3 is the program. */
const ROLES = ['stdin', 'stdout', 'stderr', 'program', 'status', 'init', 'netns', 'terminal'] as const;

export function launchByHelper(program: ContainerProgram, inputs: LaunchInputs): Launch {
  // setns(2): a process of many threads, as node is, can enter no user namespace.
  if (inputs.has('userns')) {
    throw new TsbuildError(
      'UNSUPPORTED_KERNEL',
      'Cannot map the ids of steps: this machine cannot run the machine code that enters a user namespace',
      {
        hint: 'Leave --userns=auto out.',
      },
    );
  }
  const file = makeMemoryFile('tsbuild-program', Buffer.from(JSON.stringify(program)));
  const stdio = ROLES.map((role) => (role === 'program' ? file : (inputs.get(role) ?? 'ignore')));
  try {
    const child = spawn(process.execPath, [entryFile('launch-helper.js', import.meta.url), 'outer', String(process.pid)], {
      stdio,
      env: {},
      cwd: '/',
      // Who leads a session of its own makes no other, as the container's first process does.
      detached: hasPidNamespace(program),
    });
    return follow(child);
  } finally {
    closeSync(file);
  }
}

function follow(child: ReturnType<typeof spawn>): Launch {
  let pidfd: number | undefined;
  let killed = false;
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => resolve());
  }).finally(() => {
    if (pidfd !== undefined) closeSync(pidfd);
    pidfd = undefined;
  });
  return {
    ended,
    kill() {
      killed = true;
      if (pidfd !== undefined) pidfdSendSignal(pidfd, 'SIGKILL');
    },
    adopt(pid) {
      // The helper reaps its child only when we can see the end of it, so the number is still the child's, or nobody's.
      pidfd = pidfdOpen(pid);
      if (killed && pidfd !== undefined) pidfdSendSignal(pidfd, 'SIGKILL');
    },
  };
}
