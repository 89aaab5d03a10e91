/** What `--dns` and its kin make of a resolv.conf(5). Pure. */
import { isIP } from 'node:net';
import { TsbuildError } from '../../errors.ts';

export interface DnsSettings {
  /** Addresses; take the place of the machine's. */
  readonly servers?: readonly string[] | undefined;
  /** Domains; `.` alone is none at all. */
  readonly search?: readonly string[] | undefined;
  /** Such as `ndots:2`. */
  readonly options?: readonly string[] | undefined;
}

/** As many as the C library asks. */
const SERVERS_MAX = 3;
const DOMAIN = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/;
const OPTION = /^[a-z0-9-]{1,40}(?::\d{1,5})?$/;

/** The same settings. Throws USAGE. */
export function checkedDns(settings: DnsSettings = {}): DnsSettings {
  checkDns(settings);
  return settings;
}

/** Throws USAGE. */
export function checkDns({ servers = [], search = [], options = [] }: DnsSettings): void {
  for (const server of servers) {
    if (isIP(server) !== 4) throw refused('dns', server, 'not an IPv4 address, which is what steps have');
    if (/^(?:127|0)\./.test(server)) throw refused('dns', server, 'a step has a loopback of its own');
  }
  if (servers.length > SERVERS_MAX) throw refused('dns', servers[SERVERS_MAX] ?? '', `at most ${SERVERS_MAX} servers are asked`);
  for (const domain of search) {
    if (domain !== '.' && !DOMAIN.test(domain)) throw refused('dns-search', domain, 'not a domain');
    if (domain === '.' && search.length > 1) throw refused('dns-search', domain, 'none at all, beside others');
  }
  for (const option of options) if (!OPTION.test(option)) throw refused('dns-option', option, 'not an option such as ndots:2');
}

/** Lines that are given replace those of their kind. */
export function withDns(resolvConf: string, { servers = [], search = [], options = [] }: DnsSettings): string {
  const isReplaced = (line: string): boolean =>
    (servers.length > 0 && /^nameserver\b/.test(line)) ||
    (search.length > 0 && /^(?:search|domain)\b/.test(line)) ||
    (options.length > 0 && /^options\b/.test(line));
  const lines = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length === 0 || search[0] === '.' ? [] : [`search ${search.join(' ')}`]),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
    ...resolvConf.split('\n').filter((line) => line !== '' && !isReplaced(line)),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function refused(flag: string, value: string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(value.slice(0, 200))} as --${flag}: ${reason}`);
}
