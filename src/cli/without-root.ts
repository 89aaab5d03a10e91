/** An ordinary user's command moves into a user namespace before it does anything. */
import type { ParsedCommand } from './parse-command-line.ts';

/** What neither reads nor writes files of images. */
const EVERYWHERE: ReadonlySet<string> = new Set(['version', 'context', 'doctor']);

/**
 * Never returns where the command needs what only root can do and this process can have it in a namespace. To be called
 * before anything touches the standard streams: what Node changes of a pipe would be taken for how the caller left it.
 */
export async function moveIfNeeded(parsed: ParsedCommand | { readonly help: string }): Promise<void> {
  if (process.geteuid?.() === 0 || 'help' in parsed || EVERYWHERE.has(parsed.spec.name)) return;
  const { startInUserNamespace } = await import('../rootless.ts');
  startInUserNamespace();
}
