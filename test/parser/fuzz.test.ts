/** A sample of what scripts/fuzz-parser.sh does with a million inputs. TSBUILD_FUZZ_SEED repeats one. */
import { test } from 'node:test';
import { check, mutate, readSeeds } from './_fuzz.ts';
import { random } from './_random.ts';

const COUNT = 3000;

test(`F7 F8 parseDockerfile, lintDockerfile and planBuild throw only errors for users, placed inside the text, for ${COUNT} mutated Dockerfiles`, (t) => {
  const seed = Number(process.env['TSBUILD_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`seed ${seed}`);
  const from = random(seed);
  const seeds = readSeeds();
  for (let number = 0; number < COUNT; number++) {
    const text = mutate(from, seeds);
    try {
      check(text);
    } catch (error) {
      throw new Error(`Input ${number} of seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
});
