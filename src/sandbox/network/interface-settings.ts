/** Settings of network interfaces under /proc/sys/net, of the namespace that the calling thread is in (ip-sysctl.rst). */
import { readFileSync, writeFileSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';

/**
 * The machine's end of a step's link: it forwards, takes packets from the step's address only (strict reverse path, so
 * that a step cannot speak for another), and has no IPv6. All of it goes with the interface.
 */
export function setUpStepLink(name: string): void {
  write(`ipv4/conf/${name}/forwarding`, '1');
  write(`ipv4/conf/${name}/rp_filter`, '1');
  writeIfPossible(`ipv6/conf/${name}/disable_ipv6`, '1');
}

/** In a step's namespace, before it has interfaces: those to come have no IPv6 addresses, its loopback keeps ::1. */
export function setUpStepNamespace(): void {
  writeIfPossible('ipv6/conf/default/disable_ipv6', '1');
}

/**
 * Lets an interface forward what comes in, which the answers to steps are. It is the one change that stays on the
 * machine after the build, and it is smaller than the switch that Docker sets for every interface (net.ipv4.ip_forward).
 * It stays because another process may have come to need it meanwhile.
 */
export function allowForwarding(name: string): void {
  const path = `ipv4/conf/${name}/forwarding`;
  if (readFileSync(`/proc/sys/net/${path}`, { encoding: 'utf8' }).trim() !== '1') write(path, '1');
}

function write(path: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${path}`, value);
  } catch (error) {
    throw new TsbuildError(
      'NETWORK_SETUP',
      `Cannot set ${path.replaceAll('/', '.')} of this machine: ${(error as NodeJS.ErrnoException).code}`,
      {
        hint: 'In a container, run it privileged, with a writable /proc/sys, or give the step the network of the machine.',
        cause: error,
      },
    );
  }
}

/** A kernel without IPv6, or without a writable /proc/sys, has nothing to switch off: the packet filter refuses IPv6 as well. */
function writeIfPossible(path: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/${path}`, value);
  } catch (error) {
    if (!['ENOENT', 'EROFS', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
