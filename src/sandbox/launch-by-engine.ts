/** Starts a container by our machine code: no process of node's in between. */
import { pidfdSendSignal, waitPidfd } from '../sys/process.ts';
import { cloneProgram } from '../sys/syscall-program-engine.ts';
import type { ContainerProgram } from './container-program.ts';
import type { Launch, LaunchInputs } from './launcher.ts';

export function launchByEngine({ operations, namespaces, memory }: ContainerProgram, inputs: LaunchInputs): Launch {
  const statusFd = inputs.get('status');
  if (statusFd === undefined) throw new Error('A launch without a status socket');
  const pidfd = cloneProgram(operations, { namespaces, mode: memory === 'shared' ? 'share-memory' : 'copy-memory', inputs, statusFd });
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
