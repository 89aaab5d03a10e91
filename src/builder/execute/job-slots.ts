/** At most so many steps at once. Of those that wait, the one that most other steps wait for goes first; among equals the first to ask. */

export interface JobSlots {
  readonly most: number;
  /** `remaining`: weight of the longest chain of steps that begins with this one (`remainingSteps`). Runs `act` when it is its turn. */
  run<T>(remaining: number, act: () => Promise<T>): Promise<T>;
}

interface Waiting {
  readonly remaining: number;
  start(): void;
}

export function openJobSlots(most: number): JobSlots {
  const waiting: Waiting[] = [];
  let running = 0;
  const fill = (): void => {
    while (running < most && waiting.length > 0) {
      running++;
      takeFirst(waiting)?.start();
    }
  };
  return {
    most,
    async run(remaining, act) {
      await new Promise<void>((resolve) => {
        waiting.push({ remaining, start: resolve });
        // Others that ask in this turn of the event loop may have more behind them.
        setImmediate(fill);
      });
      try {
        return await act();
      } finally {
        running--;
        // What follows this step asks in this turn, too.
        setImmediate(fill);
      }
    },
  };
}

function takeFirst(waiting: Waiting[]): Waiting | undefined {
  let first = 0;
  for (const [index, { remaining }] of waiting.entries()) if (remaining > (waiting[first]?.remaining ?? 0)) first = index;
  return waiting.splice(first, 1)[0];
}
