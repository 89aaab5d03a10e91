/**
 * Keeps V8 from compiling undici's parser a second time, and better: that takes a core a third of a second and 40 MB, for a parser that bodies only pass by.
 * From Node 24 on it does so all the same.
 * Sources: V8's flag-definitions.h (liftoff_only), of which a WebAssembly module keeps what was set when it was made; undici's client-h1.js, which makes it
 * with the first connection.
 */
import { setFlagsFromString } from 'node:v8';
import type { buildConnector } from 'undici';

/** The whole parser, at once: what is compiled later is compiled by the flags of that time. */
const ONCE = ['--liftoff-only', '--no-wasm-lazy-compilation'];
/** liftoff_only sets two more. V8 takes no code that a process with other flags made (compiled-code.ts), so that all are to be as they were. */
const AS_BEFORE = ['--no-liftoff-only', '--wasm-tier-up', '--wasm-dynamic-tiering', '--wasm-lazy-compilation'];

let isMade = false;

export function compilingOnce(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      if (isMade || result[0] !== null) return callback(...result);
      isMade = true;
      for (const flag of ONCE) setFlagsFromString(flag);
      try {
        callback(...result);
      } finally {
        for (const flag of AS_BEFORE) setFlagsFromString(flag);
      }
    });
}
