import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { stepLinks, tablesOf, until } from './_host-state.ts';

const HOLDER = new URL('./_pool-holder.js', import.meta.url).pathname;
const ROUNDS = 20;

describe('openNetworkPool() in a process that is killed', () => {
  it('openNetworkPool() leaves no interface and no table within a second of SIGKILL, at any moment', async (context) => {
    const tookMs: number[] = [];
    let seen = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(process.execPath, [HOLDER], { stdio: ['ignore', 'pipe', 'inherit'] });
      if (round % 4 !== 0) await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
      const { pid = assert.fail() } = child;
      seen = Math.max(seen, stepLinks(pid).length);
      child.kill('SIGKILL');
      await once(child, 'exit');
      tookMs.push(await until(() => stepLinks(pid).length === 0 && tablesOf(pid).length === 0, 1000));
    }
    assert.ok(seen > 1, 'the child had no network to leave behind');
    context.diagnostic(`${ROUNDS} kills, up to ${seen} interfaces at once; all gone after at most ${Math.max(...tookMs).toFixed()} ms`);
  });
});
