/** A process that makes networks until it is killed: run by network-leaks.test.ts. Says `ready` after the first one. */
import { openNetworkPool } from '../../../src/sandbox/network/network-pool.ts';

const pool = openNetworkPool({ size: 2 });
for (let count = 0; ; count++) {
  const network = await pool.take();
  if (count === 0) process.stdout.write('ready\n');
  await new Promise((resolve) => setTimeout(resolve, count % 3));
  if (count % 4 !== 0 || count > 20) network.release();
}
