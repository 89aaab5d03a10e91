/** The caller gave up: its own reason if that is an error for users, else INTERRUPTED. */
import { TsbuildError } from '../errors.ts';

export function interruption(signal: AbortSignal, action: string): TsbuildError {
  if (signal.reason instanceof TsbuildError) return signal.reason;
  return new TsbuildError('INTERRUPTED', `Cannot ${action}: interrupted`, { cause: signal.reason });
}
