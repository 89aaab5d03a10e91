/** `scripts/fuzz-parser.sh [COUNT] [SEED]`: COUNT mutated Dockerfiles (1,000,000) on all processors; the first that breaks a promise is printed. */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { check, mutate, readSeeds } from './_fuzz.ts';
import { random } from './_random.ts';

interface Work {
  readonly seed: number;
  readonly count: number;
}

/** Milliseconds that one input may take: far more than any should, since the machine may be busy. */
const SLOW_MS = 2000;

if (isMainThread) await main();
else work(workerData as Work);

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 1_000_000);
  const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
  const started = performance.now();
  const threads = availableParallelism();
  const totals = new Map<string, number>();
  process.stdout.write(`seed ${seed}\n`);
  await Promise.all(
    Array.from({ length: threads }, async (_, index) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { seed: seed + index * 7919, count: Math.ceil(count / threads) } });
      const result = await new Promise<Map<string, number>>((resolve, reject) => worker.once('message', resolve).once('error', reject));
      for (const [outcome, number] of result) totals.set(outcome, (totals.get(outcome) ?? 0) + number);
    }),
  );
  const seconds = Math.round((performance.now() - started) / 1000);
  for (const [outcome, number] of [...totals].sort()) process.stdout.write(`${outcome}: ${number}\n`);
  process.stdout.write(`${seconds} s on ${threads} threads\n`);
}

function work({ seed, count }: Work): void {
  const from = random(seed);
  const seeds = readSeeds();
  const totals = new Map<string, number>();
  let slowest = 0;
  for (let number = 0; number < count; number++) {
    const text = mutate(from, seeds);
    const started = performance.now();
    try {
      const outcome = check(text);
      totals.set(outcome, (totals.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`Input ${number} of seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
    const took = performance.now() - started;
    slowest = Math.max(slowest, took);
    if (took > SLOW_MS) throw new Error(`Input ${number} of seed ${seed} took ${Math.round(took)} ms: ${JSON.stringify(text)}`);
  }
  totals.set(`slowest of seed ${seed}, ms`, Math.round(slowest));
  parentPort?.postMessage(totals);
}
