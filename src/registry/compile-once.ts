/**
 * Keeps V8 from compiling undici's parser a second time, and better: that takes a core a third of a second and 40 MB, for a parser that bodies only pass by.
 * Sources: V8's flag-definitions.h (liftoff_only), of which a WebAssembly module keeps what was set when it was made; undici's client-h1.js, which makes it
 * with the first connection.
 */
import { setFlagsFromString } from 'node:v8';
import type { buildConnector } from 'undici';

let isMade = false;

export function compilingOnce(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      if (isMade || result[0] !== null) return callback(...result);
      isMade = true;
      setFlagsFromString('--liftoff-only');
      try {
        callback(...result);
      } finally {
        setFlagsFromString('--no-liftoff-only');
      }
    });
}
