/** The SSH agents that a build may use, by id: sockets of running agents, or key files in an agent of our own. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SshAgents } from '../builder/execute/resources.ts';
import { TsbuildError } from '../errors.ts';

/** One path of an agent's socket, or paths of private keys without a passphrase. */
export type SshSource = readonly string[];

const START_MS_MAX = 5000;
/** The agent ends with our end of the pipe, whatever becomes of us, and its directory with it. */
const KEEPER = 'ssh-agent -D -a "$1/agent" >/dev/null & agent=$!; cat >/dev/null; kill $agent; rm -rf "$1"';

/** Throws SECRET_INVALID at once for a path that is not there. Disposing ends what was started. */
export function openSshAgents(sources: Readonly<Record<string, SshSource>>): SshAgents & Disposable {
  const known = new Map(Object.entries(sources));
  for (const [id, paths] of known) for (const each of paths) needPath(id, each);
  const started = new Map<string, { readonly socket: Promise<string>; readonly stop: () => void }>();
  return {
    async socketOf(id) {
      const paths = known.get(id);
      const [first] = paths ?? [];
      if (paths === undefined || first === undefined) return undefined;
      if (paths.length === 1 && statSync(first).isSocket()) return path.resolve(first);
      const agent = started.get(id) ?? startAgent(id, paths);
      started.set(id, agent);
      return await agent.socket;
    },
    [Symbol.dispose]() {
      for (const { stop } of started.values()) stop();
    },
  };
}

function needPath(id: string, file: string): void {
  if (!existsSync(file)) throw new TsbuildError('SECRET_INVALID', `Cannot use the SSH agent ${JSON.stringify(id)}: ${file} is not there`);
}

function startAgent(id: string, keys: SshSource): { socket: Promise<string>; stop: () => void } {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-ssh-'));
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'ssh-agent', directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: environment(),
    detached: true,
  });
  const failed = new Promise<never>((_, reject) => {
    keeper.once('error', reject);
  });
  return { socket: Promise.race([failed, loadKeys(id, path.join(directory, 'agent'), keys)]), stop: () => keeper.stdin.destroy() };
}

async function loadKeys(id: string, socket: string, keys: SshSource): Promise<string> {
  for (let waited = 0; !existsSync(socket); waited += 10) {
    if (waited >= START_MS_MAX) throw noAgent(id, 'ssh-agent does not start');
    await sleep(10);
  }
  for (const key of keys) {
    await new Promise<void>((resolve, reject) => {
      const child = execFile(
        'ssh-add',
        ['-q', '--', path.resolve(key)],
        { env: { ...environment(), SSH_AUTH_SOCK: socket, SSH_ASKPASS_REQUIRE: 'never' } },
        (error) => {
          if (error === null) resolve();
          else reject(noAgent(id, `ssh-add does not take ${key}; a key with a passphrase belongs in an agent of yours`));
        },
      );
      child.stdin?.end();
    });
  }
  return socket;
}

function environment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };
}

function noAgent(id: string, reason: string): TsbuildError {
  return new TsbuildError('SECRET_INVALID', `Cannot use the SSH keys ${JSON.stringify(id)}: ${reason}`, {
    hint: 'Key files need ssh-agent and ssh-add (Debian package openssh-client); the socket of a running agent needs neither.',
  });
}
