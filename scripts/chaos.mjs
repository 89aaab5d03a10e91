/**
 * Many builds of one store at once, the same and different ones, while it is pruned all the time and processes are killed at random:
 * no build gives another digest, fails, or hangs, the store is sound afterwards, and nothing is left.
 *
 *     node scripts/chaos.mjs [--seconds 300] [--processes 32] [--seed N] [--slowest 120]
 *
 * Needs root, a built dist, and busybox. Ends with 1 and what went wrong.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    processes: { type: 'string', default: '32' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    slowest: { type: 'string', default: '120' },
  },
});
const [seconds, processes, slowest] = [values.seconds, values.processes, values.slowest].map(Number);
const BIN = path.resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../bin/tsbuild');
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-chaos-'));
const root = path.join(directory, 'state');
const faults = [];
const count = { builds: 0, killed: 0, prunes: 0, removed: 0, slowestMs: 0 };

/** mulberry32: the same seed, the same choices; not the same interleaving. */
let state = Number(values.seed);
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);

/** Results depend on nothing but these: times are those of SOURCE_DATE_EPOCH. */
function dockerfile(i) {
  const shared = 'FROM busybox AS shared\nRUN mkdir /s && seq 2000 > /s/numbers\nCOPY common /s/\n';
  const mount = 'RUN --mount=type=bind,target=/in --mount=type=cache,id=chaos,target=/c';
  const own = [
    `FROM shared AS left\nRUN mkdir /l && for n in $(seq 50); do echo ${i} > /l/$n; done\nRUN rm /s/numbers\n`,
    `FROM busybox AS right\n${mount} mkdir /r && cp /in/f${i % 4} /r/ && : > /c/${i} && echo ${i % 3} > /r/which\nCOPY --link f${i % 4} /linked/\n`,
  ].join('');
  return `${shared}${own}FROM shared\nCOPY --from=left /l /l\nCOPY --from=right / /right/\nRUN cat /l/1 /right/r/which > /end\n`;
}

const KINDS = 8;
const FLAGS = ['--network=none', '--progress=plain', '-o', 'type=image,rewrite-timestamp=true'];
const env = { ...process.env, TSBUILD_ROOT: root, SOURCE_DATE_EPOCH: '1700000000' };

function prepare() {
  const files = path.join(directory, 'rootfs');
  mkdirSync(path.join(files, 'bin'), { recursive: true });
  execFileSync('cp', [execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim(), path.join(files, 'bin/busybox')]);
  for (const name of ['sh', 'cat', 'cp', 'mkdir', 'rm', 'seq', 'sleep']) symlinkSync('busybox', path.join(files, 'bin', name));
  execFileSync('tar', ['-C', files, '--mtime=@0', '--sort=name', '-cf', path.join(directory, 'base.tar'), '.']);
  const context = path.join(directory, 'context');
  mkdirSync(context);
  for (const name of ['common', 'f0', 'f1', 'f2', 'f3']) writeFileSync(path.join(context, name), name.repeat(1000));
  for (let i = 0; i < KINDS; i++) writeFileSync(path.join(context, `Dockerfile.${i}`), dockerfile(i));
  return context;
}

/** `killAfterMs`: undefined for never. */
async function tsbuild(args, { killAfterMs, signal = 'SIGKILL', at = root, keep = '100GB' } = {}) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...env, TSBUILD_ROOT: at, TSBUILD_KEEP_STORAGE: keep },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (data) => (output[name] = (output[name] + data).slice(-20_000)));
  const began = performance.now();
  const stuck = setTimeout(() => {
    faults.push(`stuck for ${slowest} s: ${args.join(' ')}\n${output.stderr.slice(-1500)}`);
    child.kill('SIGKILL');
  }, slowest * 1000);
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill(signal), killAfterMs);
  const code = await new Promise((resolve) => child.once('close', (status, by) => resolve(by ?? status)));
  clearTimeout(stuck);
  clearTimeout(timer);
  return { code, ...output, ms: performance.now() - began };
}

/** Digests as they come out of a store of their own, where nothing disturbs. */
async function expectations(context) {
  const quiet = path.join(directory, 'quiet');
  await tsbuild(['import', path.join(directory, 'base.tar'), 'busybox'], { at: quiet });
  const digests = [];
  for (let i = 0; i < KINDS; i++) {
    const { code, stdout, stderr } = await tsbuild([...FLAGS, '-f', path.join(context, `Dockerfile.${i}`), context], { at: quiet });
    if (code !== 0) throw new Error(`Dockerfile ${i} cannot be built: ${stderr}`);
    digests.push(stdout.trim());
  }
  return digests;
}

async function buildOne(context, expected) {
  const i = below(KINDS);
  const killAfterMs = random() < 0.15 ? 50 + below(4000) : undefined;
  const signal = random() < 0.5 ? 'SIGKILL' : 'SIGTERM';
  const flags = [...(random() < 0.1 ? ['--no-cache'] : []), ...(random() < 0.6 ? ['-t', `chaos:${below(4)}`] : [])];
  const { code, stdout, stderr, ms } = await tsbuild([...FLAGS, ...flags, '-f', path.join(context, `Dockerfile.${i}`), context], {
    killAfterMs,
    signal,
  });
  count.builds++;
  if (killAfterMs !== undefined && code !== 0) {
    count.killed++;
    return;
  }
  count.slowestMs = Math.max(count.slowestMs, ms);
  if (code !== 0) faults.push(`build ${i} ended with ${code}:\n${stderr.slice(-1500)}`);
  else if (stdout.trim() !== expected[i]) faults.push(`build ${i} gave ${stdout.trim()}, not ${expected[i]}`);
}

async function pruneOne(args) {
  const killAfterMs = random() < 0.1 ? 50 + below(1500) : undefined;
  const { code, stdout, stderr } = await tsbuild(args, { killAfterMs });
  count.prunes++;
  count.removed += stdout.split('\n').length;
  if (killAfterMs === undefined && code !== 0) faults.push(`${args.join(' ')} ended with ${code}:\n${stderr.slice(-1500)}`);
}

/** A name that is gone is an answer, too. */
async function untagOne() {
  const { code, stderr } = await tsbuild(['rmi', `chaos:${below(4)}`]);
  if (code !== 0 && !stderr.includes('Cannot find the image')) faults.push(`rmi ended with ${code}:\n${stderr.slice(-1500)}`);
}

/** Reads the files itself, and uses nothing of src/. */
function check() {
  const blobs = path.join(root, 'blobs/sha256');
  const digest = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');
  for (const name of readdirSync(blobs)) if (digest(path.join(blobs, name)) !== name) faults.push(`blob ${name} is another one`);
  const follow = (descriptor, from) => {
    const file = path.join(blobs, descriptor.digest.slice(7));
    if (!existsSync(file)) return faults.push(`${from} leads to ${descriptor.digest}, which is not there`);
    if (!/manifest|index/.test(descriptor.mediaType)) return undefined;
    const document = JSON.parse(readFileSync(file, 'utf8'));
    for (const next of document.manifests ?? [document.config, ...document.layers]) follow(next, descriptor.digest);
    return undefined;
  };
  for (const name of readdirSync(path.join(root, 'refs')))
    follow(JSON.parse(readFileSync(path.join(root, 'refs', name), 'utf8')).descriptor, name);
  const names = path.join(root, 'snapshots/names');
  for (const name of readdirSync(names)) {
    const at = path.join(names, readlinkSync(path.join(names, name)));
    if (!existsSync(path.join(at, 'fs'))) faults.push(`snapshot ${name} has no files`);
    else {
      const { parent } = JSON.parse(readFileSync(path.join(at, 'info.json'), 'utf8'));
      if (parent !== undefined && !existsSync(path.join(names, parent)))
        faults.push(`snapshot ${name} stands on ${parent}, which is not there`);
    }
  }
}

/** After one more command. */
async function checkLeftovers() {
  const { code, stderr } = await tsbuild(['prune', '--all', '--force']);
  if (code !== 0) faults.push(`the last prune ended with ${code}: ${stderr}`);
  const places = ['snapshots/d', 'snapshots/names', 'ingest', 'trash', 'leases', 'cache/running', 'cgroups', 'userns'];
  for (const place of places) {
    const names = existsSync(path.join(root, place)) ? readdirSync(path.join(root, place)) : [];
    // Numbers of user namespaces are kept, and locked by nobody.
    if (names.length > 0 && place !== 'userns') faults.push(`${place} holds ${names.slice(0, 5).join(' ')} (${names.length})`);
  }
  if (readFileSync('/proc/self/mountinfo', 'utf8').includes(directory)) faults.push('a mount is left');
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').includes(root))
        faults.push(`process ${pid} is left: ${readFileSync(`/proc/${pid}/cmdline`, 'latin1')}`);
    } catch {
      // It has ended.
    }
  }
}

const context = prepare();
try {
  const expected = await expectations(context);
  await tsbuild(['import', path.join(directory, 'base.tar'), 'busybox']);
  const end = performance.now() + seconds * 1000;
  const isOver = () => performance.now() > end || faults.length > 20;
  const forever = async (work, pauseMs = 0) => {
    while (!isOver()) {
      await work();
      await sleep(pauseMs);
    }
  };
  await Promise.all([
    ...Array.from({ length: processes }, () => forever(() => buildOne(context, expected))),
    forever(() => pruneOne(['prune', '--all', '--force']), 100),
    forever(() => pruneOne(['prune', '--force']), 500),
    forever(untagOne, 2000),
  ]);
  check();
  await checkLeftovers();
  check();
} finally {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
for (const fault of faults.slice(0, 20)) console.error(fault);
const { builds, killed, prunes, removed, slowestMs } = count;
console.log(
  `${builds} builds of ${processes} at once (${killed} killed), ${prunes} prunes that removed ${removed} things, in ${seconds} s: ` +
    `${faults.length} faults; the slowest build took ${(slowestMs / 1000).toFixed(1)} s (seed ${values.seed})`,
);
process.exit(faults.length === 0 ? 0 : 1);
