/** A real browser without a window, spoken to through two pipes in its own protocol: no port, no library, no profile that stays. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { inflateSync } from 'node:zlib';

export interface Browser extends AsyncDisposable {
  open(file: string, look?: Look): Promise<Page>;
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

export interface Page {
  /** What the expression gives, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** All of the page. */
  screenshot(how?: 'whole' | 'window'): Promise<Buffer>;
  /** Addresses that were asked for since the page was opened, the page's own among them. */
  readonly requests: readonly string[];
  /** What the browser complained of: scripts and styles that the policy forbids, errors of scripts. */
  readonly complaints: readonly string[];
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Debian's browser is installed where there is none: 113 MB, half a minute. Only the tests of pages need it. */
export function findChromium(): string {
  const found = PROGRAMS.find((program) => existsSync(program));
  if (found !== undefined) return found;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'ignore' });
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], { env, stdio: 'ignore' });
  return PROGRAMS[0] ?? '';
}

export async function openBrowser(): Promise<Browser> {
  const profile = mkdtempSync(path.join(tmpdir(), 'tsbuild-chromium-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-background-networking'];
  const child = spawn(findChromium(), [...flags, `--user-data-dir=${profile}`, '--remote-debugging-pipe'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const connection = openConnection(child.stdio[3] as Writable, child.stdio[4] as Readable);
  return {
    open: async (file, look = {}) => await openPage(connection, pathToFileURL(file).href, look),
    async [Symbol.asyncDispose]() {
      // Its helpers are of its group.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface Connection {
  call(method: string, params?: object, session?: string): Promise<Record<string, unknown>>;
  listen(listener: (message: Message) => void): void;
}

/** Messages of JSON, each with a NUL at its end. */
function openConnection(writable: Writable, readable: Readable): Connection {
  const waiting = new Map<number, { resolve(value: Record<string, unknown>): void; reject(error: Error): void }>();
  const listeners: ((message: Message) => void)[] = [];
  let rest = Buffer.alloc(0);
  let count = 0;
  readable.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0); end !== -1; end = rest.indexOf(0)) {
      const message = JSON.parse(rest.subarray(0, end).toString()) as Message;
      rest = rest.subarray(end + 1);
      const call = message.id === undefined ? undefined : waiting.get(message.id);
      if (call === undefined) for (const listener of listeners) listener(message);
      else if (message.error !== undefined) call.reject(new Error(message.error.message));
      else call.resolve(message.result ?? {});
    }
  });
  return {
    call: (method, params = {}, session) =>
      new Promise((resolve, reject) => {
        const id = ++count;
        waiting.set(id, { resolve, reject });
        writable.write(`${JSON.stringify({ id, method, params, ...(session === undefined ? {} : { sessionId: session }) })}\0`);
      }),
    listen: (listener) => void listeners.push(listener),
  };
}

async function openPage(connection: Connection, url: string, { width = 1280, height = 900, scheme = 'light' }: Look): Promise<Page> {
  const { targetId } = await connection.call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await connection.call('Target.attachToTarget', { targetId, flatten: true });
  const call = (method: string, params?: object) => connection.call(method, params, sessionId as string);
  const requests: string[] = [];
  const complaints: string[] = [];
  const loaded = new Promise<void>((resolve) => {
    connection.listen((message) => {
      const { method, params = {} } = message;
      if ((message as { sessionId?: string }).sessionId !== sessionId) return;
      if (method === 'Page.loadEventFired') resolve();
      if (method === 'Network.requestWillBeSent') requests.push((params['request'] as { url: string }).url);
      if (method === 'Log.entryAdded') complaints.push((params['entry'] as { text: string }).text);
      if (method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(params));
      if (method === 'Page.javascriptDialogOpening') {
        complaints.push('a dialog was opened');
        void call('Page.handleJavaScriptDialog', { accept: false });
      }
    });
  });
  for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await call(`${domain}.enable`);
  await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  const features = [
    { name: 'prefers-color-scheme', value: scheme },
    { name: 'prefers-reduced-motion', value: 'reduce' },
  ];
  await call('Emulation.setEmulatedMedia', { features });
  await call('Page.navigate', { url });
  await loaded;
  return {
    requests,
    complaints,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { value: T }).value;
    },
    async screenshot(how = 'whole') {
      const { data } = await call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: how === 'whole' });
      return Buffer.from(data as string, 'base64');
    },
  };
}

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** `#rrggbb` → how many pixels have it. */
  readonly colours: ReadonlyMap<string, number>;
}

/** Of a PNG as browsers write it: 8 bits, RGB or RGBA, not interlaced. Source: PNG specification, 9 "Filtering". */
export function pixelsOf(png: Buffer): Pixels {
  const [width, height, kind] = [png.readUInt32BE(16), png.readUInt32BE(20), png[25]];
  const size = kind === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * size;
  const colours = new Map<string, number>();
  let above = Buffer.alloc(stride);
  for (let row = 0; row < height; row++) {
    const start = row * (stride + 1);
    const line = Buffer.from(raw.subarray(start + 1, start + 1 + stride));
    unfilter(line, above, { filter: raw[start] ?? 0, size });
    for (let x = 0; x < stride; x += size) {
      const colour = `#${line.toString('hex', x, x + 3)}`;
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    above = line;
  }
  return { width, height, colours };
}

function unfilter(line: Buffer, above: Buffer, { filter, size }: { readonly filter: number; readonly size: number }): void {
  for (let i = 0; i < line.length; i++) {
    const [a, b, c] = [i < size ? 0 : (line[i - size] ?? 0), above[i] ?? 0, i < size ? 0 : (above[i - size] ?? 0)];
    const predicted = [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter] ?? 0;
    line[i] = ((line[i] ?? 0) + predicted) & 0xff;
  }
}

function paeth(a: number, b: number, c: number): number {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}
