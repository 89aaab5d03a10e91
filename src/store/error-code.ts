import { errorCodeOf } from '../errors.ts';

/** Whether `error` is a refused file operation with this errno name, so that a catch takes the one it expects. */
export function isCode(error: unknown, code: string): error is NodeJS.ErrnoException & { readonly code: string } {
  return errorCodeOf(error) === code;
}
