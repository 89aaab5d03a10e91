/** A name look-up for hosts that a registry leads to: addresses more private than its own do not exist. */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { type HostScope, mayLeadTo, scopeOfAddress } from '../http/host-scope.ts';

/** Checked when the socket connects, so a name that changes its address gains nothing. Behind a proxy the proxy looks up. */
export function guardedLookup(registryScopes: () => Promise<readonly HostScope[]>): LookupFunction {
  return (hostname, options, callback) => {
    const fail = (error: Error): void => callback(error, '', 4);
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return fail(error);
      registryScopes().then((scopes) => {
        const allowed = addresses.filter(({ address }) => mayLeadTo(scopes, scopeOfAddress(address)));
        const [first] = allowed;
        if (first === undefined) fail(Object.assign(new Error(`${hostname} has a private address`), { code: 'PRIVATE_ADDRESS' }));
        else if (options.all === true) callback(null, allowed);
        else callback(null, first.address, first.family);
      }, fail);
    });
  };
}
