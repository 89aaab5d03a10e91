/**
 * How fast a host wants its requests: as they come, until it says that they are too many. Then all of them wait, go out one after
 * the other at the distance that it seems to bear, and slowly come closer again. Source: RFC 6585 section 4, RFC 9110 "Retry-After".
 */
export interface Pace {
  /** Resolves when a request to `origin` may go. */
  turn(origin: string, signal: AbortSignal): Promise<void>;
  /** The host had too many requests: none goes within `ms`. */
  hold(origin: string, ms: number): void;
  /** The host took a request. */
  taken(origin: string): void;
}

export interface PaceClock {
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The distance after a first refusal, where the host does not ask for less. */
  readonly distanceMs: number;
}

interface Host {
  /** Between two requests; 0 while nothing was refused. */
  distance: number;
  /** When the next request may go. */
  next: number;
  /** Somebody has to wait, if only for a moment. */
  isHeld: boolean;
  /** Turns since the last refusal. */
  turns: number;
  queue: Promise<void>;
}

const DISTANCE_MAX_MS = 60_000;
/** So many requests halve the distance: a host that bears no more refuses one of some thirty. */
const NARROWING = 0.97;
const DISTANCE_MIN_MS = 20;

export function openPace({ sleep, now, distanceMs }: PaceClock): Pace {
  const hosts = new Map<string, Host>();
  const wait = async (host: Host, signal: AbortSignal): Promise<void> => {
    while (host.isHeld || host.next > now()) {
      const { next } = host;
      host.isHeld = false;
      await sleep(Math.max(0, next - now()), signal);
      // Somebody may have been refused meanwhile.
      if (host.next === next) break;
    }
    host.next = Math.max(now(), host.next) + host.distance;
    host.turns += 1;
  };
  return {
    async turn(origin, signal) {
      const host = hosts.get(origin);
      if (host === undefined) return;
      const mine = host.queue.then(() => wait(host, signal));
      host.queue = mine.catch(() => {});
      await mine;
    },
    hold(origin, ms) {
      const host = hosts.get(origin) ?? { distance: 0, next: 0, isHeld: false, turns: 0, queue: Promise.resolve() };
      hosts.set(origin, host);
      // Those that were under way together are refused together: that is one refusal.
      if (host.distance === 0) host.distance = Math.min(ms, distanceMs);
      else if (host.turns > 0) host.distance = Math.min(host.distance * 2, DISTANCE_MAX_MS);
      host.next = Math.max(host.next, now() + ms);
      host.isHeld = true;
      host.turns = 0;
    },
    taken(origin) {
      const host = hosts.get(origin);
      if (host === undefined) return;
      host.distance *= NARROWING;
      if (host.distance < DISTANCE_MIN_MS) hosts.delete(origin);
    },
  };
}
