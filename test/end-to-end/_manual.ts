/** What Docker's reference manual shows, tried: small builds whose config, files and output can be looked at. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type BuildOptions, build, importImage, inspectImage } from '../../src/index.ts';
import { type FlatImage, flattenImage, type RawImage } from './_flatten.ts';
import { makeBusyboxRootfs } from './_world.ts';

export interface Example extends Omit<BuildOptions, 'context'> {
  readonly dockerfile?: never;
  /** Lines of the Dockerfile. */
  readonly lines: readonly string[];
  /** Path → content, beside the Dockerfile. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface Tried extends FlatImage {
  /** What the steps wrote, both streams. */
  readonly output: string;
}

export interface Manual extends Disposable {
  readonly root: string;
  /** Builds on `busybox`, an image with a static shell and the users root and app. */
  try(example: Example): Promise<Tried>;
}

export async function openManual(): Promise<Manual> {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-manual-'));
  const root = path.join(directory, 'state');
  const rootfs = path.join(directory, 'rootfs.tar');
  makeBusyboxRootfs(rootfs);
  await importImage({ root, input: rootfs, name: 'busybox' });
  const base = await storedImage(root, 'busybox');
  let count = 0;
  return {
    root,
    async try({ lines, files = {}, ...options }) {
      const number = count++;
      const context = path.join(directory, `context-${number}`);
      for (const [name, text] of Object.entries({ ...files, Dockerfile: lines.join('\n') })) writeText(path.join(context, name), text);
      const output: Buffer[] = [];
      const { names } = await build({
        tags: [`example-${number}`],
        // Equal steps of two examples must both be seen to run.
        noCache: true,
        ...options,
        root,
        context,
        onEvent(event) {
          if (event.kind === 'step-output') output.push(Buffer.from(event.data));
        },
      });
      const flat = JSON.parse(JSON.stringify(flattenImage(await storedImage(root, names[0] ?? ''), base))) as FlatImage;
      return { ...flat, output: Buffer.concat(output).toString() };
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/** The text of every regular file that the example added or changed, by path. */
export function textsOf({ tree }: Pick<FlatImage, 'tree'>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).flatMap(([name, { text }]) => (text === undefined ? [] : [[name, text]])));
}

function writeText(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function storedImage(root: string, name: string): Promise<RawImage> {
  const { manifest, config } = await inspectImage({ root, name });
  const blob = (digest: string) => readFileSync(path.join(root, 'blobs/sha256', digest.slice('sha256:'.length)));
  return {
    config: { ...config, config: { ...config.config } } as RawImage['config'],
    layers: manifest.layers.map(({ digest }) => gunzipSync(blob(digest))),
  };
}
