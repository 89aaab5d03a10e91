/** Where the addresses of steps come from: a private range that the machine does not use, cut into pairs. */
import { TsbuildError } from '../../errors.ts';
import { overlaps, type Prefix } from './ipv4.ts';

/** The two ends of a step's link (RFC 3021): the lower address is the machine's, the upper one the step's. */
export interface AddressPair {
  readonly gateway: number;
  readonly step: number;
}

/**
 * The first private range (RFC 1918, then the one for benchmarks of RFC 2544) that overlaps nothing of `used`. It starts
 * in the middle of 10/8, away from where people and Docker, Podman and Kubernetes count from.
 */
export function chooseRange(used: readonly Prefix[]): Prefix {
  const free = candidates().find((candidate) => !used.some((prefix) => overlaps(prefix, candidate)));
  if (free === undefined) {
    throw new TsbuildError('NETWORK_SETUP', 'Cannot find addresses for a step: the routes of this machine cover every private range', {
      hint: 'Give the step the network of the machine, or no network.',
    });
  }
  return free;
}

/** The pairs of a range in an order that starts at `start`: two processes that start elsewhere seldom meet. */
export function* pairsOf(range: Prefix, start: number): Generator<AddressPair> {
  const count = 2 ** (31 - range.length);
  for (let index = 0; index < count; index++) {
    const gateway = range.address + 2 * ((start + index) % count);
    yield { gateway, step: gateway + 1 };
  }
}

/** Every one a /16 or a /24: whole bytes, which is what the masquerade rule compares. */
function candidates(): Prefix[] {
  const ranges: Prefix[] = [];
  for (let index = 0; index < 256; index++) ranges.push({ address: 0x0a000000 + (((index + 213) % 256) << 16), length: 16 });
  for (let index = 31; index >= 16; index--) ranges.push({ address: 0xac000000 + (index << 16), length: 16 });
  for (let index = 255; index >= 0; index--) ranges.push({ address: 0xc0a80000 + (index << 8), length: 24 });
  return [...ranges, { address: 0xc6120000, length: 16 }, { address: 0xc6130000, length: 16 }];
}
