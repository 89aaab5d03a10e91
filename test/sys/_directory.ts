/** A directory of its own for one test file, and names as bytes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { ByteString } from '../../src/tree/byte-string.ts';

export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function b(name: string): ByteString {
  return name as ByteString;
}
