/** Group L, what a step reaches of the machine's network; rows L4 and L6 are tested where networks are made. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Attack, makeAttack } from './_attack.ts';

const CANARY = 'tsbuild-canary-of-row-l3';

let attack: Attack;

before(async () => {
  attack = await makeAttack();
});
after(async () => {
  attack.assertUnharmed();
  await attack[Symbol.asyncDispose]();
});

describe('a step', () => {
  test('L3 has the network of the machine by the word of Dockerfile and caller, and reaches no abstract socket otherwise', async () => {
    const server = createServer().listen(`\0${CANARY}`);
    try {
      const refused = await attack.build('RUN --network=host cat /proc/net/unix', ['--network=default']);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /ERR_TSBUILD_ENTITLEMENT.*network\.host|--allow/s);
      const show = 'grep -c tsbuild-canary-of-row-l3 /proc/net/unix; wc -l < /proc/net/unix';
      assert.deepEqual(await attack.lines(`RUN --network=host ${show.split(';')[0]}`, ['--allow', 'network.host', '--network=default']), [
        '1',
      ]);
      for (const network of ['default', 'none']) {
        assert.deepEqual(await attack.lines(`RUN ${show}; true`, [`--network=${network}`]), ['0', '1'], network);
      }
    } finally {
      server.close();
    }
  });

  test('L5 without a network has a loopback, no name server and no names (CVE-2024-29018)', async () => {
    const lines = await attack.lines(
      'RUN ls /sys/class/net; grep -c nameserver /etc/resolv.conf 2>/dev/null; nslookup example.com 2>&1 | grep -ci "can\'t\\|refused\\|timed out\\|no servers\\|bad address\\|unreachable" | head -1',
      ['--network=none'],
    );
    assert.equal(lines[0], 'lo');
    assert.ok(!lines.slice(1, -1).some((line) => Number(line) > 0), lines.join());
    assert.ok(Number(lines.at(-1)) > 0, lines.join());
  });
});
