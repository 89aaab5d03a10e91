/** Directories of device specifications. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A specification of `vendor.test/thing` with one device, `a`, whose edits are these. */
export function specification(edits: object, more: object = {}): string {
  return JSON.stringify({ cdiVersion: '1.1.0', kind: 'vendor.test/thing', devices: [{ name: 'a', containerEdits: edits }], ...more });
}

/** `directories` are maps of file names to their contents; returns their paths in order. */
export function described(t: TestContext, ...directories: readonly Readonly<Record<string, string | Buffer>>[]): string[] {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-cdi-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return directories.map((files, index) => {
    const directory = join(root, String(index));
    mkdirSync(directory);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    return directory;
  });
}
