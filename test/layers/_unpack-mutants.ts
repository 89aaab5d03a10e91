/** Unpacks mutated archives on a layer of links that lead out; run as a program, it prints the counts: `node _unpack-mutants.js FIRST COUNT`. */
import { readdirSync } from 'node:fs';
import { block, directory, END, file, link } from './_archives.ts';
import { Arena, type Outcome } from './_arena.ts';
import { mutantArchive } from './_mutant-archives.ts';

/** Throws with the seed where a mutant changes anything outside its root, or ends in an error that is not ours. */
export async function unpackMutants(first: number, count: number): Promise<Record<Outcome, number>> {
  using arena = await Arena.make(links);
  const outcomes = { unpacked: 0, refused: 0 };
  const descriptors = readdirSync('/proc/self/fd').length;
  for (let seed = first; seed < first + count; seed++) {
    outcomes[await unpack(arena, seed)]++;
    arena.check(`mutant ${seed} reached out`);
  }
  const left = readdirSync('/proc/self/fd').length - descriptors;
  if (left > 0) throw new Error(`${left} descriptors are left open`);
  return outcomes;
}

async function unpack(arena: Arena, seed: number): Promise<Outcome> {
  try {
    return await arena.unpack([mutantArchive(seed, arena.outside)]);
  } catch (cause) {
    throw new Error(`mutant ${seed}: ${String(cause)}`, { cause });
  }
}

function links(outside: string): Buffer {
  const escapes = [link('up', '../../..'), link('abs', outside), link('self', '/proc/self/root'), link('l', '/'), link('var', '/run')];
  return Buffer.concat([...escapes, file('f', 'f'), block({ name: 'in/x' }), directory('run'), END]);
}

if (process.argv[1] === import.meta.filename)
  console.log(JSON.stringify(await unpackMutants(Number(process.argv[2]), Number(process.argv[3]))));
