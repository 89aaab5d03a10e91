/** A root that layers are unpacked into, and around it what none of them may touch. */
import assert from 'node:assert/strict';
import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TsbuildError } from '../../src/errors.ts';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import { openMergedTree } from '../../src/snapshots/merged-tree.ts';
import { removeTree } from '../../src/sys/remove-tree.ts';
import { b, pieces } from './_overlay.ts';

export type Outcome = 'unpacked' | 'refused';

export class Arena implements Disposable {
  /** Holds `secret`, `dir/inner`, the link `jail-evil` to the secret, `jail`, in which the roots are, and `base`, which is below them all. */
  readonly outside: string;
  private readonly jail: number;
  private before = '';

  private constructor() {
    this.outside = mkdtempSync(path.join(tmpdir(), 'tsbuild-arena-'));
    mkdirSync(path.join(this.outside, 'dir'));
    mkdirSync(path.join(this.outside, 'jail'));
    writeFileSync(path.join(this.outside, 'secret'), 'original');
    writeFileSync(path.join(this.outside, 'dir/inner'), 'original');
    symlinkSync('secret', path.join(this.outside, 'jail-evil'));
    this.jail = openSync(path.join(this.outside, 'jail'), constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** `base` gives a layer for the path of `outside`. */
  static async make(base: (outside: string) => Buffer): Promise<Arena> {
    const arena = new Arena();
    mkdirSync(arena.base);
    await applyTo(base(arena.outside), [arena.base]);
    arena.before = arena.surroundings();
    return arena;
  }

  private get base(): string {
    return path.join(this.outside, 'base');
  }

  /** Applies the layers on the base, in a stack of their own that is gone afterwards. Every error but ours is thrown on. */
  async unpack(layers: readonly Buffer[]): Promise<Outcome> {
    const made: string[] = [];
    try {
      for (const layer of layers) {
        made.unshift(path.join(this.outside, 'jail', `d${made.length}`));
        mkdirSync(made[0] as string);
        await applyTo(layer, [...made, this.base]);
      }
      return 'unpacked';
    } catch (error) {
      if (error instanceof TsbuildError) return 'refused';
      throw error;
    } finally {
      for (const root of made) removeTree(this.jail, b(path.basename(root)));
    }
  }

  /** Throws where anything around the roots is not what it was: content, metadata, times of change, names. */
  check(what: string): void {
    assert.equal(this.surroundings(), this.before, what);
  }

  [Symbol.dispose](): void {
    closeSync(this.jail);
    rmSync(this.outside, { recursive: true });
  }

  private surroundings(): string {
    const lines: string[] = [];
    const visit = (file: string): void => {
      const stat = lstatSync(file, { bigint: true });
      lines.push(`${file} ${file.endsWith('/jail') ? stat.mode : factsOf(stat)}`);
      if (stat.isDirectory()) for (const name of readdirSync(file).sort()) visit(`${file}/${name}`);
    };
    visit(this.outside);
    return lines.join('\n');
  }
}

function factsOf({ ino, mode, uid, gid, nlink, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, mode, uid, gid, nlink, size, mtimeNs, ctimeNs].join(' ');
}

/** `roots` are the layer's own and those below it, the top one first. */
async function applyTo(layer: Buffer, [upper = '', ...below]: readonly string[]): Promise<void> {
  const open = (root: string): number => openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  const fd = open(upper);
  try {
    using lower = openMergedTree({ layers: below.map(open), top: 'fixed' });
    await applyChanges(readLayer(pieces(layer)), fd, { lower });
  } finally {
    closeSync(fd);
  }
}
