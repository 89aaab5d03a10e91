/** `RUN --mount=type=secret`: a file in memory, a variable, or both; no file and an empty variable where the caller gave no such secret. */
import { TsbuildError } from '../../errors.ts';
import type { SecretMount } from '../../parser/mount.ts';
import type { MountPlace, OpenMount, RunMount } from './run-mounts.ts';
import type { StageRun } from './stage-run.ts';

export function secretMount({ resources }: StageRun, mount: SecretMount, { target }: MountPlace): RunMount {
  const { id, env, owner, required } = mount;
  const hasFile = mount.target !== undefined || env === undefined;
  const { mode, uid, gid } = owner;
  return {
    // The value is no part of it: another password makes no other result.
    identity: async () => ['secret', id, hasFile ? target : '', env ?? '', ...[mode, uid, gid, required].map(String)],
    async open() {
      const value = resources.secrets.read(id);
      if (value === undefined && required) throw notGiven(id);
      // As BuildKit does: the variable is there all the same, and hides one of the image.
      if (value === undefined) return opened({ specs: [], env: new Map(env === undefined ? [] : [[env, '']]) });
      return opened({
        specs: hasFile ? [{ kind: 'bytes', target, bytes: value.toString('base64'), owner }] : [],
        env: env === undefined ? new Map() : new Map([[env, value.toString('utf8')]]),
      });
    },
  };
}

function opened(mount: Omit<OpenMount, keyof AsyncDisposable>): OpenMount {
  return { ...mount, async [Symbol.asyncDispose]() {} };
}

function notGiven(id: string): TsbuildError {
  return new TsbuildError(
    'SECRET_INVALID',
    `Cannot run this step without the secret ${JSON.stringify(id.slice(0, 200))}: none of that id was given`,
    {
      hint: `Give it with --secret id=${id},src=FILE or --secret id=${id},env=VARIABLE.`,
    },
  );
}
