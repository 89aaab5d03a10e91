/** The one door to libc: koffi is loaded here, on first use, and nowhere else. */
import { createRequire } from 'node:module';
import type koffiType from 'koffi';

type Koffi = typeof koffiType;

let koffiModule: Koffi | undefined;
let library: ReturnType<Koffi['load']> | undefined;

/** koffi itself; `require` because its CommonJS wrapper loads in half the time of its ES module. */
export function koffi(): Koffi {
  koffiModule ??= createRequire(import.meta.url)('koffi') as Koffi;
  return koffiModule;
}

/** A function of the running process's libc by its C prototype, bound on first call. */
export function bind(prototype: string): (...args: unknown[]) => unknown {
  let bound: ((...args: unknown[]) => unknown) | undefined;
  return (...args) => {
    bound ??= libc().func(prototype) as (...args: unknown[]) => unknown;
    return bound(...args);
  };
}

/** errno of the call just made: read it before anything else runs. */
export function lastErrno(): number {
  return koffi().errno();
}

/** glibc and musl answer to different names; both hold every call that is bound here. */
function libc(): ReturnType<Koffi['load']> {
  library ??= loadFirst(['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`]);
  return library;
}

function loadFirst(names: readonly string[]): ReturnType<Koffi['load']> {
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      return koffi().load(name);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `Cannot load libc (${names.join(', ')})`);
}
