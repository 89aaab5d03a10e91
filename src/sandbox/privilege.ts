/** Whether this process may make containers and files of any owner at all, asked before anything is made. */
import { geteuid } from 'node:process';
import { TsbuildError } from '../errors.ts';

/** Throws PRIVILEGE for an ordinary user. Root that lacks capabilities learns from the kernel what is missing. */
export function needPrivilege(): void {
  if (geteuid?.() === 0) return;
  throw new TsbuildError('PRIVILEGE', 'Cannot run a step: this process is not root, and it is not in a user namespace either', {
    hint: 'Use the tsbuild command, which makes a user namespace, or run as root.',
  });
}
