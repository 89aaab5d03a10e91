/** Flags of name servers, for build and run. */
import type { DnsSettings } from '../index.ts';
import type { FlagSpec } from './command-table.ts';

export interface DnsFlags {
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOption?: readonly string[];
}

/** `whose`: such as `every RUN`. */
export function dnsFlags(whose: string): FlagSpec[] {
  return [
    { flags: '--dns <address>', description: `name server of ${whose} in the place of the machine's`, kind: 'repeatable' },
    { flags: '--dns-search <domain>', description: 'domain that short names are looked up in; . is none', kind: 'repeatable' },
    { flags: '--dns-option <option>', description: 'option of resolv.conf, such as ndots:2', kind: 'repeatable' },
  ];
}

export function dnsOf({ dns, dnsSearch, dnsOption }: DnsFlags): DnsSettings {
  return { servers: dns, search: dnsSearch, options: dnsOption };
}
