/**
 * One row of a comparison: each builder in turns, so that what else the machine does meets all of them, and the floor beside them. What the one
 * before wrote is on the disk first, and nothing is deleted between turns: ext4 is slow at making files for minutes after many were deleted.
 * Memory is touched before each turn: a virtual machine gives what is idle for seconds back to its host, and has it again at a cost that
 * may be larger than all else (512 MiB into new files: 0.3 s or 1.5 s).
 */
import { spawnSync } from 'node:child_process';
import type { Peer } from './_peers.ts';
import { run } from './_peers.ts';
import { type Figure, median } from './_workload.ts';

const ROUNDS = 3;
const FAILURE_MAX = 2000;
/** More than a build of any row fills. */
const TOUCHED_BYTES = 2 ** 31;

export interface Row {
  readonly name: string;
  readonly peers: readonly [Peer, ...Peer[]];
  /** What nobody can do without, and what it takes. */
  readonly floor: { readonly name: string; measure(round: number): Promise<number> };
  readonly rounds?: number;
  /** Before any builder's turn. */
  prepare?(round: number): void | Promise<void>;
  /** Milliseconds of one builder's turn. */
  measure(peer: Peer, round: number): Promise<number>;
  /** How often the floor's time is ours at most. */
  readonly atMostFloors?: number;
}

export async function sideBySide(row: Row): Promise<Figure[]> {
  const [ours, ...others] = row.peers;
  const floors: number[] = [];
  /** Of peers that have not failed. */
  const times = new Map<Peer, number[]>(row.peers.map((peer) => [peer, []]));
  for (let round = 0; round < (row.rounds ?? ROUNDS); round++) {
    await row.prepare?.(round);
    settle();
    floors.push(await row.floor.measure(round));
    for (const [peer, taken] of times) {
      settle();
      try {
        taken.push(await row.measure(peer, round));
      } catch (error) {
        // Of ours that is no result.
        if (peer === ours) throw error;
        times.delete(peer);
        console.log(`${row.name}: ${peer.name} fails: ${error instanceof Error ? error.message.slice(0, FAILURE_MAX) : String(error)}`);
      }
    }
  }
  const floor = median(floors);
  const own = median(times.get(ours) ?? []);
  return [
    { name: `${row.name}: floor (${row.floor.name})`, value: floor, unit: 'ms' },
    {
      name: `${row.name}: tsbuild`,
      value: own,
      unit: 'ms',
      ...(row.atMostFloors === undefined ? {} : { atMost: floor * row.atMostFloors }),
    },
    ...others.flatMap((peer): Figure[] => {
      const taken = times.get(peer);
      if (taken === undefined) return [];
      const value = median(taken);
      return [
        { name: `${row.name}: ${peer.name}`, value, unit: 'ms' },
        { name: `${row.name}: ${peer.name} / tsbuild`, value: value / own, unit: '×' },
      ];
    }),
  ];
}

/** The disk has what was written, and the memory that comes next is there. */
function settle(): void {
  spawnSync('sync');
  for (const _ of ['from the host', 'and at hand']) spawnSync('dd', ['if=/dev/zero', 'of=/dev/null', `bs=${TOUCHED_BYTES}`, 'count=1']);
}

/** Milliseconds of a shell's command line. */
export async function shell(script: string, ...args: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await run(['bash', '-o', 'pipefail', '-c', script, 'bench', ...args]);
  return performance.now() - startedAt;
}

/** `count` bare starts of node. */
export async function nodeStarts(count: number): Promise<number> {
  return await shell(`for _ in $(seq ${count}); do env -u NODE_EXTRA_CA_CERTS ${process.execPath} -e 0; done`);
}
