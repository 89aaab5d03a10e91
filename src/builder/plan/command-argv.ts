/** What a command runs as: the exec form as it is, the shell form behind the shell, and so the path of a here-document that is a program. Source: Dockerfile reference "SHELL". */
import path from 'node:path/posix';
import { unreachable } from '../../errors.ts';
import type { RunCommand } from '../../parser/instruction.ts';

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** Where the program that a here-document is stands in the container. As BuildKit has it; the name stays below whatever it is. */
export function scriptPath(name: string): string {
  return path.join('/dev/pipes', path.join('/', name));
}

/** `shell` is the config's; an absent or empty one is the default. */
export function commandArgv(command: RunCommand, shell: readonly string[] | undefined): string[] {
  switch (command.form) {
    case 'exec':
      return [...command.argv];
    case 'shell':
      return shellArgv(shell, command.script);
    case 'file':
      return shellArgv(shell, scriptPath(command.name));
    default:
      return unreachable(command);
  }
}

function shellArgv(shell: readonly string[] | undefined, script: string): string[] {
  return [...(shell === undefined || shell.length === 0 ? DEFAULT_SHELL : shell), script];
}
