/** Program of lost-packets.test.ts: in a network that loses packets, pulls a blob and a URL, and prints what came of it as JSON. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { fetchHttp } from '../../src/context/http-source.ts';
import { openRegistryClient } from '../../src/registry/registry-client.ts';
import { blobOf, noise, refOf } from './_images.ts';

const [kind = '', host = '', connectMs = '', attempts = ''] = process.argv.slice(2);
const BYTES = noise(3 << 20, 3);
const port = Number(host.split(':')[1]);

const server = createServer((_, response) => response.end(BYTES));
await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
const hash = createHash('sha256');

async function pull(): Promise<void> {
  const retry = { attempts: Number(attempts), insists: true, baseMs: 1 };
  const client = openRegistryClient({
    ...{ signal: new AbortController().signal, connectMs: Number(connectMs), retry },
    ...{ dockerConfigDir: '/nonexistent', certificatesDirs: [], insecureRegistries: [host] },
  });
  for await (const chunk of client.fetchBlob(refOf(host, 'x:1'), blobOf(BYTES))) hash.update(chunk);
  await client.close();
}

async function fetchFile(): Promise<void> {
  await fetchHttp({ url: new URL(`http://${host}/file`), known: {}, signal: new AbortController().signal }, async (answer) => {
    if (answer.kind === 'file') for await (const chunk of answer.body) hash.update(chunk);
  });
}

const startedAt = performance.now();
let failure: { code?: string; message?: string } = {};
try {
  await (kind === 'pull' ? pull() : fetchFile());
} catch (error) {
  failure = { code: (error as { code: string }).code, message: (error as Error).message };
}
const isWhole = hash.digest('hex') === createHash('sha256').update(BYTES).digest('hex');
process.stdout.write(`${JSON.stringify({ ...failure, isWhole, ms: Math.round(performance.now() - startedAt) })}\n`);
process.exit(0);
