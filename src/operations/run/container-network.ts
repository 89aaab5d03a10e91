/** The network of a container: one of its own, or another container's, through the process that holds that. */
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import type { NetworkPool, StepNetwork } from '../../sandbox/network/network-pool.ts';
import { findContainer, hasEnded, type NetworkHolder } from './container-record.ts';

/** A pool that tells `onTaken` of each network. */
export function observedNetworks(pool: () => NetworkPool, onTaken: (network: StepNetwork) => void): () => NetworkPool {
  return () => ({
    async take() {
      const network = await pool().take();
      onTaken(network);
      return network;
    },
    close: () => pool().close(),
  });
}

export function networkHolder({ netnsFd, resolvConf }: StepNetwork): NetworkHolder {
  return { pid: process.pid, pidNamespace: namespace('pid'), userNamespace: namespace('user'), fd: netnsFd, resolvConf };
}

/** A pool that gives out the network of the container `name`. Throws CONTAINER_NOT_FOUND, NETWORK_SETUP. */
export function networkOf(root: string, name: string): () => NetworkPool {
  const entry = findContainer(root, name);
  const { network } = entry.record;
  if (entry.state !== 'running') throw refused(name, 'it does not run');
  if (network === undefined) throw refused(name, 'it has no network of its own');
  if (network.pidNamespace !== namespace('pid')) throw refused(name, 'it was started in another PID namespace');
  if (network.userNamespace !== namespace('user') && hostFacts().userNamespace === 'own') {
    throw refused(name, 'without root, each run has a user namespace of its own, and no way into those of others');
  }
  return () => ({
    take: () => Promise.resolve().then(() => join(network)),
    close() {},
  });

  function join({ pid, fd, resolvConf }: NetworkHolder): StepNetwork {
    let netnsFd: number;
    try {
      netnsFd = openSync(`/proc/${pid}/fd/${fd}`, 'r');
    } catch (error) {
      throw refused(name, (error as NodeJS.ErrnoException).code ?? String(error));
    }
    // Whoever holds the container still is the process with that number.
    if (hasEnded(entry)) {
      closeSync(netnsFd);
      throw refused(name, 'it has ended');
    }
    return { resolvConf, netnsFd, release: () => closeSync(netnsFd) };
  }
}

function namespace(kind: 'pid' | 'user'): string {
  return readlinkSync(`/proc/self/ns/${kind}`);
}

function refused(name: string, reason: string): TsbuildError {
  return new TsbuildError('NETWORK_SETUP', `Cannot join the network of the container ${name}: ${reason}`);
}
