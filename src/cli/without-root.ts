/** The command of an ordinary user, or of a root without privileges, moves into a user namespace before it does anything. */
import { readFileSync } from 'node:fs';
import type { ParsedCommand } from './parse-command-line.ts';

/** What neither unpacks nor writes files of images. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  ...['version', 'context', 'doctor', 'login', 'logout'],
  // A browser that `open` starts is to be the user's.
  ...['builds ls', 'builds inspect', 'builds logs', 'builds open', 'builds rm', 'builds pin'],
]);

/**
 * Never returns where the command needs what only root can do and this process can have it in a namespace. To be called
 * before anything touches the standard streams: what Node changes of a pipe would be taken for how the caller left it.
 */
export async function moveIfNeeded(parsed: ParsedCommand | { readonly help: string }): Promise<void> {
  if ('help' in parsed) return;
  const isRoot = process.geteuid?.() === 0;
  // The doctor looks at an ordinary user's namespace from outside; a root's is what it is to look at.
  if (EVERYWHERE.has(parsed.spec.name) && !(isRoot && parsed.spec.name === 'doctor')) return;
  // In a namespace root could make no device nodes: a chroot takes no more than root has.
  if (isRoot && (isPrivileged() || isForChroot(parsed))) return;
  const { startInUserNamespace, startWithPrivileges } = await import('../rootless.ts');
  if (isRoot) startWithPrivileges();
  else startInUserNamespace();
}

function isForChroot({ flags, spec }: ParsedCommand): boolean {
  return spec.name === 'build' && (flags.isolation ?? process.env['TSBUILD_ISOLATION']) === 'chroot';
}

/** Root of a container may be without what makes namespaces and networks: CAP_NET_ADMIN (12) and CAP_SYS_ADMIN (21), capabilities(7). */
function isPrivileged(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const needed = (1n << 12n) | (1n << 21n);
  return (BigInt(`0x${effective}`) & needed) === needed;
}
