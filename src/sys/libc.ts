/** The one door to libc: koffi is loaded here, on first use, and nowhere else. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type koffiType from 'koffi';

type Koffi = typeof koffiType;

let koffiModule: Koffi | undefined;
let library: ReturnType<Koffi['load']> | undefined;

/** koffi itself; `require` because its CommonJS wrapper loads in half the time of its ES module. */
export function koffi(): Koffi {
  koffiModule ??= nativePart() ?? (createRequire(import.meta.url)('koffi') as Koffi);
  return koffiModule;
}

/** What koffi's wrapper loads and hands on, for whoever uses no old name of it: in a quarter of its time. Undefined where koffi has it from elsewhere. */
function nativePart(): Koffi | undefined {
  const { arch } = process;
  const libc = readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'linux';
  const wrapper = createRequire(import.meta.url)
    .resolve.paths('koffi')
    ?.map((directory) => path.join(directory, 'koffi', 'index.cjs'))
    .find((file) => existsSync(file));
  if (wrapper === undefined) return undefined;
  try {
    return createRequire(realpathSync(wrapper))(`@koromix/koffi-linux-${arch}/${libc}_${arch}/koffi.node`) as Koffi;
  } catch {
    return undefined;
  }
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
