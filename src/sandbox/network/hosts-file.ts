/** The /etc/hosts of a step (hosts(5)). */
import { isIP } from 'node:net';
import { TsbuildError } from '../../errors.ts';

export interface HostEntry {
  readonly name: string;
  readonly address: string;
}

/** `extra` are lines of `--add-host`. */
export function hostsFile(hostname: string, extra: readonly HostEntry[]): string {
  const lines = [`127.0.0.1\tlocalhost ${hostname}`, '::1\tlocalhost ip6-localhost ip6-loopback'];
  return [...lines, ...extra.map(({ address, name }) => `${address}\t${name}`), ''].join('\n');
}

/** `name:address` or `name=address`; an IPv6 address may stand in brackets. Throws USAGE. */
export function parseHost(pair: string): HostEntry {
  const [, name, address = ''] = /^([^:=\s\0]+)[:=]\[?([0-9a-fA-F.:]+)\]?$/.exec(pair) ?? [];
  if (name === undefined || isIP(address) === 0) {
    throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(pair)} with --add-host: not name:address`);
  }
  return { name, address };
}
