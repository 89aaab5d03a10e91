/**
 * Keeps what V8 made of our code from one start to the next: compiling it anew costs as long as Node's own start. Node does that by
 * itself from 22.1 on (`module.enableCompileCache`); for older ones the code of each command lies in the state directory, where
 * nobody but its user can have put it. The second run's code is what is kept, and the first leaves an empty file: a first build
 * needs twice as much as those that find its steps in the cache, and V8 takes as long to read code that nobody calls.
 * Sources: Node's `vm.Script` (cachedData), modules.html "require.extensions".
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import { Script } from 'node:vm';
import { defaultRoot } from './default-root.ts';

/** Of this very bundle: the build writes it in. */
const BUNDLE = 'BUNDLE_ID';
const DIGEST_BYTES = 32;
/** More commands than there are. */
const FILES_MAX = 40;

/** File name without directories → V8's code. */
type CompiledCode = ReadonlyMap<string, Buffer>;

/** Modules of `directory` that are required from now on are taken as they were compiled before. */
export function keepCompiledCode(directory: string, argv: readonly string[]): void {
  const { enableCompileCache } = Module as { enableCompileCache?: () => void };
  enableCompileCache?.();
  const file = enableCompileCache === undefined ? fileOf(argv) : undefined;
  if (file === undefined) return;
  const known = readCode(file);
  const fresh = new Map<string, Script>();
  const { _extensions: loaders } = Module as unknown as { _extensions: Record<string, (module: NodeModule, file: string) => void> };
  const load = loaders['.js'];
  loaders['.js'] = (module, filename) => {
    if (!filename.startsWith(directory)) return load?.(module, filename);
    const name = path.basename(filename);
    const cachedData = known.get(name);
    const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), { filename, ...(cachedData && { cachedData }) });
    if (cachedData === undefined || script.cachedDataRejected === true) fresh.set(name, script);
    const require = (id: string): unknown => module.require(id);
    script.runInThisContext().call(module.exports, module.exports, require, module, filename, path.dirname(filename));
  };
  process.once('exit', (code) => {
    if (code !== 0 || fresh.size === 0) return;
    if (!existsSync(file)) return replaceFile(file, Buffer.alloc(0));
    writeCode(file, new Map([...known, ...[...fresh].map(([name, script]) => [name, script.createCachedData()] as const)]));
  });
}

/** One for each command, since they need different parts; undefined where the state directory is not there yet, or not this user's alone. */
function fileOf(argv: readonly string[]): string | undefined {
  const root = rootOf(argv);
  try {
    const stat = lstatSync(root);
    if (!stat.isDirectory() || stat.uid !== process.geteuid?.() || (stat.mode & 0o077) !== 0) return undefined;
  } catch {
    return undefined;
  }
  const [first = ''] = argv;
  const command = /^[a-z]{2,12}$/.test(first) ? first : 'build';
  return path.join(root, 'cache', 'code', `${BUNDLE}-${process.version}-${process.arch}-${command}`);
}

/** A wrong guess costs a start without compiled code, and nothing else. */
function rootOf(argv: readonly string[]): string {
  const at = argv.indexOf('--root');
  return (
    (at === -1 ? undefined : argv[at + 1]) ?? argv.find((text) => text.startsWith('--root='))?.slice('--root='.length) ?? defaultRoot()
  );
}

/** Nothing where the file is not there, or not what was written: V8 trusts what it is given. */
function readCode(file: string): CompiledCode {
  const code = new Map<string, Buffer>();
  try {
    const bytes = readFileSync(file);
    const content = bytes.subarray(DIGEST_BYTES);
    if (!digestOf(content).equals(bytes.subarray(0, DIGEST_BYTES))) return code;
    const start = content.indexOf('\n') + 1;
    let at = start;
    for (const [name, size] of JSON.parse(content.toString('utf8', 0, start)) as [string, number][]) {
      code.set(name, content.subarray(at, at + size));
      at += size;
    }
  } catch {
    code.clear();
  }
  return code;
}

function writeCode(file: string, code: CompiledCode): void {
  const content = Buffer.concat([
    Buffer.from(`${JSON.stringify([...code].map(([name, { length }]) => [name, length]))}\n`),
    ...code.values(),
  ]);
  replaceFile(file, Buffer.concat([digestOf(content), content]));
}

/** Complete or not at all. What cannot be kept, such as on a full disk, is made again next time. */
function replaceFile(file: string, bytes: Buffer): void {
  const temporary = `${file}.${process.pid}`;
  try {
    makeDirectory(path.dirname(file));
    removeOthers(file);
    writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, file);
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** Not the state directory itself: who has just removed that wants no other. */
function makeDirectory(directory: string): void {
  for (const each of [path.dirname(directory), directory]) {
    if (!existsSync(each)) mkdirSync(each, { mode: 0o700 });
  }
}

/** Code of other versions, and what a killed process left. */
function removeOthers(file: string): void {
  const directory = path.dirname(file);
  const names = readdirSync(directory);
  const own = (name: string) =>
    name.startsWith(`${BUNDLE}-${process.version}-`) && !name.includes('.', BUNDLE.length + process.version.length + 1);
  for (const name of names.length > FILES_MAX ? names : names.filter((name) => !own(name)))
    rmSync(path.join(directory, name), { force: true });
}

function digestOf(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest();
}
