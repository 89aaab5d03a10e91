/** An ordinary user's start: the same process as root of a user namespace, in which builds work as they do for root. */
import { homedir } from 'node:os';
import { defaultRoot } from './default-root.ts';
import { SyscallError, TsbuildError } from './errors.ts';
import { enterAsRoot, enterUserNamespace } from './sandbox/user-namespace/enter-user-namespace.ts';
import { userName } from './sandbox/user-namespace/user-name.ts';

/**
 * Starts this command again inside the namespace; never returns. What depends on who the caller is (where state and
 * credentials lie) is decided here, for user 0 would have it elsewhere. Throws PRIVILEGE where the machine gives no namespace.
 */
export function startInUserNamespace(): never {
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  if (uid === undefined || gid === undefined) throw new TsbuildError('PRIVILEGE', 'Cannot build: this system has no users');
  const env = { ...process.env, TSBUILD_ROOT: defaultRoot(), HOME: homedir() };
  enterUserNamespace({ name: userName(uid), uid, gid }, commandLine(), env);
}

/**
 * The same for user 0 of a container that was given no privileges. Returns where the container may not make a namespace either:
 * much can be done without a step, and a step says what is missing.
 */
export function startWithPrivileges(): void {
  try {
    enterAsRoot(commandLine(), process.env);
  } catch (error) {
    if (!(error instanceof TsbuildError || error instanceof SyscallError || (error instanceof Error && 'code' in error))) throw error;
  }
}

function commandLine(): string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}
