/** `RUN --mount=type=ssh`: the socket of an SSH agent, for the time of the step. */
import path from 'node:path';
import { TsbuildError } from '../../errors.ts';
import type { SshMount } from '../../parser/mount.ts';
import { openAgentProxy } from '../../sandbox/agent-proxy.ts';
import type { MountPlace, RunMount } from './run-mounts.ts';
import type { StageRun } from './stage-run.ts';

/** The first agent of a step is the one that ssh finds. */
export function sshMount({ resources }: StageRun, { id, owner, required }: SshMount, { target, number }: MountPlace): RunMount {
  return {
    // Who signs makes no other result; where the socket is, and whose, a command can see.
    identity: async () => ['ssh', target, ...[owner.mode, owner.uid, owner.gid].map(String)],
    async open(active) {
      const agent = await resources.ssh.socketOf(id);
      if (agent === undefined && required) throw notGiven(id);
      if (agent === undefined) return { specs: [], env: new Map(), async [Symbol.asyncDispose]() {} };
      const { snapshots } = resources;
      const proxy = await openAgentProxy({ directory: path.join(snapshots.directory, snapshots.scratch(active)), agent, owner });
      return {
        specs: [{ kind: 'file', target, hostPath: proxy.socket }],
        env: new Map(number === 0 ? [['SSH_AUTH_SOCK', target]] : []),
        [Symbol.asyncDispose]: async () => await proxy[Symbol.asyncDispose](),
      };
    },
  };
}

function notGiven(id: string): TsbuildError {
  return new TsbuildError(
    'SECRET_INVALID',
    `Cannot run this step without the SSH agent ${JSON.stringify(id.slice(0, 200))}: none of that id was given`,
    {
      hint: `Give it with --ssh ${id}, or --ssh ${id}=SOCKET.`,
    },
  );
}
