/** Starts a container by our machine code: no process of node's in between. */
import { dumpable, pidfdSendSignal, setDumpable, waitPidfd } from '../sys/process.ts';
import { cloneProgram } from '../sys/syscall-program-engine.ts';
import type { ContainerProgram } from './container-program.ts';
import type { Launch, LaunchInputs } from './launcher.ts';

export function launchByEngine({ operations, namespaces, memory }: ContainerProgram, inputs: LaunchInputs): Launch {
  const statusFd = inputs.get('status');
  if (statusFd === undefined) throw new Error('A launch without a status socket');
  // The child shares our memory until it execs. When it becomes another user the kernel marks that memory, ours, as not to be
  // traced; which is right while they share it, and nobody's business afterwards. capabilities(7), ptrace(2)
  const before = dumpable();
  const pidfd = cloneProgram(operations, { namespaces, mode: memory === 'shared' ? 'share-memory' : 'copy-memory', inputs, statusFd });
  if (before === 1 && dumpable() !== 1) setDumpable(before);
  let ended = false;
  const wait = waitPidfd(pidfd).finally(() => {
    ended = true;
  });
  return {
    ended: wait.then(() => undefined),
    kill() {
      if (!ended) pidfdSendSignal(pidfd, 'SIGKILL');
    },
    adopt() {
      throw new Error('The engine has no helper');
    },
  };
}
