/** What a command runs as: the exec form as it is, the shell form behind the shell. Source: Dockerfile reference "SHELL". */
import { unreachable } from '../../errors.ts';
import type { RunCommand } from '../../parser/instruction.ts';

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** `shell` is the config's; an absent or empty one is the default. */
export function commandArgv(command: RunCommand, shell: readonly string[] | undefined): string[] {
  switch (command.form) {
    case 'exec':
      return [...command.argv];
    case 'shell':
      return [...(shell === undefined || shell.length === 0 ? DEFAULT_SHELL : shell), command.script];
    case 'file':
      throw new Error('A heredoc that is a program is executed from a file');
    default:
      return unreachable(command);
  }
}
