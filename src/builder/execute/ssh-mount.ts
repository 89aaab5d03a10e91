/** `RUN --mount=type=ssh`: the socket of an SSH agent, for the time of the step. */
import { TsbuildError } from '../../errors.ts';
import type { SshMount } from '../../parser/mount.ts';
import type { MountPlace, RunMount } from './run-mounts.ts';
import type { StageRun } from './stage-run.ts';

export function sshMount(_run: StageRun, { id, required }: SshMount, _place: MountPlace): RunMount {
  return {
    // Who signs makes no other result.
    identity: async () => [],
    async open() {
      if (required) {
        throw new TsbuildError(
          'SECRET_INVALID',
          `Cannot run this step without the SSH agent ${JSON.stringify(id.slice(0, 200))}: none of that id was given`,
        );
      }
      return { specs: [], env: new Map(), async [Symbol.asyncDispose]() {} };
    },
  };
}
