/** Program of compile-once.test.ts: receives a body in so many pieces that V8 finds their parser worth another compilation. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { openRegistryClient } from '../../src/registry/registry-client.ts';
import { blobOf, noise, refOf } from './_images.ts';

const PIECE_BYTES = 2 << 10;
const BYTES = noise(1 << 20, 3);

const server = createServer(async (_, response) => {
  for (let at = 0; at < BYTES.length; at += PIECE_BYTES) {
    response.write(BYTES.subarray(at, at + PIECE_BYTES));
    await turn();
  }
  response.end();
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
const client = openRegistryClient({
  ...{ signal: new AbortController().signal, dockerConfigDir: '/nonexistent', certificatesDirs: [], insecureRegistries: [host] },
});
const hash = createHash('sha256');
for await (const chunk of client.fetchBlob(refOf(host, 'x:1'), blobOf(BYTES))) hash.update(chunk);
process.stdout.write(`${hash.digest('hex') === createHash('sha256').update(BYTES).digest('hex') ? 'whole' : 'broken'}\n`);
await client.close();
server.close();
