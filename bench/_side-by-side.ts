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
  const times: number[][] = row.peers.map(() => []);
  const floors: number[] = [];
  const failed = new Set<Peer>();
  for (let round = 0; round < (row.rounds ?? ROUNDS); round++) {
    await row.prepare?.(round);
    settle();
    floors.push(await row.floor.measure(round));
    for (const [index, peer] of row.peers.entries()) {
      if (failed.has(peer)) continue;
      settle();
      try {
        times[index]?.push(await row.measure(peer, round));
      } catch (error) {
        // Of ours that is no result.
        if (index === 0) throw error;
        failed.add(peer);
        console.log(`${row.name}: ${peer.name} fails: ${error instanceof Error ? error.message.slice(0, FAILURE_MAX) : String(error)}`);
      }
    }
  }
  const failedAt = (index: number): boolean => failed.has(row.peers[index] as Peer);
  const floor = median(floors);
  const [ours = Number.NaN, ...others] = times.map(median);
  return [
    { name: `${row.name}: floor (${row.floor.name})`, value: floor, unit: 'ms' },
    {
      name: `${row.name}: tsbuild`,
      value: ours,
      unit: 'ms',
      ...(row.atMostFloors === undefined ? {} : { atMost: floor * row.atMostFloors }),
    },
    ...others.flatMap((value, index): Figure[] =>
      failedAt(index + 1)
        ? []
        : [
            { name: `${row.name}: ${row.peers[index + 1]?.name}`, value, unit: 'ms' },
            { name: `${row.name}: ${row.peers[index + 1]?.name} / tsbuild`, value: value / ours, unit: '×' },
          ],
    ),
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
