/** What a step sees, fact by fact: a probe inside whole builds, against a table of what the peers give (`_facts-table.ts`). */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { makeUserWorld } from '../_rootless.ts';
import { makeWorld, type World } from '../_world.ts';
import { type Expected, expectedFacts, type HostView, STRICTER, type Who } from './_facts-table.ts';
import { compileProbe, fileOfImage, parseFacts, probeContext } from './_probe.ts';
import { type Abi, conditionalCall, expectedVerdict, expectedWith } from './_syscall-table.ts';

const FACTS_MIN = 250;
const DOCKERFILE = `FROM busybox
COPY facts-probe syscalls-probe /
RUN cp /facts-probe /setuid-probe && chmod 4755 /setuid-probe && mkdir -m 777 /out
RUN ["/facts-probe", "/tsbuild-facts"]
RUN mv /tsbuild-facts /out/root-facts
RUN ["/syscalls-probe", "/out/syscalls"]
USER app
RUN ["/facts-probe", "/out/user-facts"]
RUN ["/setuid-probe", "/out/setuid-facts"]
`;
const skip = process.arch === 'x64' ? false : 'the probes are written for x86-64';

const ROOT = { launcher: 'engine', userNamespace: 'initial', nodes: 'own', network: 'private', make: makeWorld, userns: 'host' } as const;
const USER = { ...ROOT, userNamespace: 'own', nodes: 'machine', network: 'none', make: makeUserWorld } as const;
const VARIANTS = [
  { ...ROOT, as: 'root, by the engine' },
  { ...ROOT, as: 'root, by the helper', launcher: 'helper' },
  { ...ROOT, as: 'root, with ids of its own', userNamespace: 'own', userns: 'auto' },
  { ...USER, as: 'an ordinary user' },
] as const;

for (const { as, launcher, userNamespace, nodes, network, make, userns } of VARIANTS) {
  describe(`a step of ${as}`, { skip }, () => {
    let world: World;
    let abstract: Server;

    before(async () => {
      world = await make();
      // A listener of another run of this test is as good.
      abstract = createServer()
        .on('error', () => undefined)
        .listen('\0tsbuild-canary');
      const context = probeContext(world, DOCKERFILE, [compileProbe(world, 'facts'), compileProbe(world, 'syscalls')]);
      await world.succeed(['-t', 'facts', ...(network === 'none' ? ['--network', 'none'] : []), context], {
        env: { ...process.env, TSBUILD_LAUNCHER: launcher, TSBUILD_TEST_CANARY: 'of the caller', TSBUILD_USERNS: userns },
      });
    });
    after(async () => {
      abstract.close();
      await world[Symbol.asyncDispose]();
    });

    test('sees what the table says, at least 250 facts', async (t) => {
      const names = new Set<string>();
      let count = 0;
      for (const who of ['root', 'user', 'setuid'] as const) {
        const facts = parseFacts(await fileOfImage(world, 'facts', `/out/${who}-facts`));
        for (const name of expectedFacts(who, hostView()).keys()) names.add(name);
        count += assertFacts(who, facts, { ...hostView(), userNamespace, nodes, network, pid: launcher === 'engine' ? '2' : /^\d+$/ });
      }
      t.diagnostic(`${names.size} facts, ${count} with all three users; ${STRICTER.size} kinds stricter than the peers`);
      assert.ok(names.size >= FACTS_MIN, `only ${names.size} facts`);
    });

    test('L1 gets the verdict of the profile for every system call number of three ABIs', async (t) => {
      const all = (await fileOfImage(world, 'facts', '/out/syscalls')).split('\n');
      // Some hypervisors let no program make 32-bit calls: each faults, with a filter and without.
      const has32 = all.some((line) => line.startsWith('i386 ') && !line.endsWith(' killed'));
      if (!has32) t.diagnostic('NOT TRIED: int 0x80, by which 32-bit programs call the kernel, faults on this machine');
      const lines = has32 ? all : all.filter((line) => !line.startsWith('i386 '));
      const wrong = lines.filter((line) => !isVerdict(line));
      assert.deepEqual(wrong, []);
      const plain = lines.filter((line) => !line.includes('('));
      assert.equal(plain.length, (has32 ? 3 : 2) * 1024 - 2);
      t.diagnostic(`${plain.length} numbers, ${lines.length - plain.length} arguments of conditional calls`);
    });
  });
}

test('assertFacts() finds a fact that differs, is missing, or is one too many', () => {
  const facts = new Map<string, string>();
  for (const [name, expected] of expectedFacts('root', hostView())) if (typeof expected === 'string') facts.set(name, expected);
  assert.throws(() => assertFacts('root', facts, hostView()), /not there/);
});

/** Returns how many were compared; throws with all that differ. */
function assertFacts(who: Who, facts: ReadonlyMap<string, string>, host: HostView): number {
  const expected = expectedFacts(who, host);
  const wrong = [...expected].flatMap(([name, value]) => {
    const found = facts.get(name);
    return found !== undefined && isAsExpected(found, value) ? [] : [`${who} ${name}: ${found ?? 'not there'} instead of ${show(value)}`];
  });
  // Lists whose length is a fact: nothing else may be in them.
  const closed = /^(env|fd|process|bounding|ambient|dev|pts|interface|argv|pid1\.fd)\./;
  const strangers = [...facts.keys()].filter((name) => closed.test(name) && !expected.has(name));
  assert.deepEqual([...wrong, ...strangers, ...mountFaults(facts)], []);
  return expected.size + mountsOf(facts).length;
}

function isAsExpected(found: string, expected: Expected): boolean {
  if (typeof expected === 'string') return found === expected;
  return expected instanceof RegExp ? expected.test(found) : expected.includes(found);
}

function show(expected: Expected): string {
  return expected instanceof RegExp ? String(expected) : JSON.stringify(expected);
}

function mountsOf(facts: ReadonlyMap<string, string>): string[] {
  return [...facts].flatMap(([name, value]) => (name.startsWith('mount.') ? [value] : []));
}

/** Each mount is private, of a kind that belongs to a container, and tells no path of the host. */
function mountFaults(facts: ReadonlyMap<string, string>): string[] {
  const points =
    /^(\/|\/proc(\/.*)?|\/sys(\/.*)?|\/dev(\/(null|zero|full|random|urandom|tty|pts|shm|mqueue))?|\/etc\/(hosts|resolv\.conf))$/;
  return mountsOf(facts).filter((line) => {
    const [, , , root = '', point = '', options = '', ...rest] = line.split(' ');
    const isShared = rest[0] !== '-';
    const isLoose = !/nodev/.test(options) && !/^\/dev\//.test(point) && !/^\/proc\/[a-z_]+$/.test(point);
    const tellsPath = /\/tmp|\/var|\/home|\/root\b/.test(`${root} ${rest.join(' ')}`);
    return isShared || isLoose || tellsPath || !points.test(point);
  });
}

/** `ABI NUMBER[(ARGUMENT)] VERDICT` */
function isVerdict(line: string): boolean {
  const [, abi, number, , argument, verdict] = /^(\S+) (\d+)(\((\d+)\))? (\S+)$/.exec(line) ?? [];
  if (abi === undefined) return false;
  const call = conditionalCall(abi as Abi, Number(number));
  const expected = call === undefined ? expectedVerdict(abi as Abi, Number(number)) : expectedWith(call, BigInt(argument ?? 0));
  return verdict === expected;
}

function hostView(): HostView {
  const names = readdirSync('/proc/self/ns');
  return {
    pid: '2',
    namespaces: new Map(names.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)])),
    limits: ownLimits(),
    userNamespace: 'initial',
    network: 'private',
    nodes: 'own',
  };
}

/** Limits are inherited, never raised. */
function ownLimits(): Map<string, string> {
  const names = new Map([
    ['Max cpu time', 'cpu'],
    ['Max file size', 'fsize'],
    ['Max data size', 'data'],
    ['Max stack size', 'stack'],
    ['Max core file size', 'core'],
    ['Max resident set', 'rss'],
    ['Max processes', 'nproc'],
    ['Max open files', 'nofile'],
    ['Max locked memory', 'memlock'],
    ['Max address space', 'as'],
    ['Max file locks', 'locks'],
    ['Max pending signals', 'sigpending'],
    ['Max msgqueue size', 'msgqueue'],
    ['Max nice priority', 'nice'],
    ['Max realtime priority', 'rtprio'],
    ['Max realtime timeout', 'rttime'],
  ]);
  const limits = new Map<string, string>();
  for (const line of readFileSync('/proc/self/limits', 'utf8').split('\n')) {
    const [, label = '', soft, hard] = /^(\S+(?: \S+)*?) {2,}(\S+) +(\S+)/.exec(line) ?? [];
    const name = names.get(label);
    if (name !== undefined) limits.set(name, `${soft} ${hard}`.replaceAll('unlimited', '-1'));
  }
  return limits;
}
