import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openAgentProxy } from '../../src/sandbox/agent-proxy.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-agent-'));
const agentSocket = path.join(directory, 'real');
let agent: ChildProcess;

before(async () => {
  agent = spawn('ssh-agent', ['-D', '-a', agentSocket], { stdio: 'ignore' });
  while (!existsSync(agentSocket)) await sleep(20);
  const key = path.join(directory, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'in-agent', '-f', key]);
  execFileSync('ssh-add', ['-q', key], { env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: agentSocket } });
});
after(async () => {
  agent.kill();
  await once(agent, 'exit');
  rmSync(directory, { recursive: true });
});

describe('openAgentProxy()', { timeout: 30_000 }, () => {
  it('passes a request to list keys, in pieces of any size, and its answer', async () => {
    const answer = await ask([Buffer.of(0, 0), Buffer.of(0, 1, 11)]);
    assert.equal(answer?.[4], 12); // SSH_AGENT_IDENTITIES_ANSWER, draft-miller-ssh-agent
    assert.ok(answer.includes('in-agent'));
  });

  it('hangs up at the length of no message, before it has read that much', async () => {
    for (const length of [0, 256 * 1024 + 1, 0x7fff_ffff]) {
      const start = Buffer.alloc(5, 11);
      start.writeUInt32BE(length, 0);
      assert.equal(await ask([start]), undefined, String(length));
    }
  });
});

/** The first of the answer; undefined where the proxy hangs up. */
async function ask(pieces: readonly Buffer[]): Promise<Buffer | undefined> {
  const place = path.join(directory, String(Math.random()));
  mkdirSync(place);
  await using proxy = await openAgentProxy({ directory: place, agent: agentSocket, owner: { mode: 0o600, uid: 0, gid: 0 } });
  const client = connect(proxy.socket);
  const answer = new Promise<Buffer | undefined>((resolve) => {
    client.once('data', resolve);
    client.once('error', () => resolve(undefined));
    client.once('close', () => resolve(undefined));
  });
  for (const piece of pieces) {
    client.write(piece);
    await sleep(20);
  }
  const first = await answer;
  client.destroy();
  return first;
}
