/** A file tree in memory, for code that is pure over trees. Files are opened from a temporary file each. */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ByteString, fromText, join } from '../../src/tree/byte-string.ts';
import type { FileNode, FileTree } from '../../src/tree/file-tree.ts';

type Entry = Partial<FileNode> & { readonly content?: string };

/** `{ 'a/b': { content: 'x' }, 'l': { type: 'symlink', linkTarget } }`; parents are made as directories. */
export function memoryTree(entries: Readonly<Record<string, Entry>>): FileTree {
  const nodes = new Map<string, FileNode>([['', directory({})]]);
  const contents = new Map<string, string>();
  for (const [name, entry] of Object.entries(entries)) {
    const parts = name.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = fromText(parts.slice(0, depth).join('/'));
      if (!nodes.has(parent)) nodes.set(parent, directory({}));
    }
    const { content, ...facts } = entry;
    const type = facts.type ?? (content === undefined ? 'directory' : 'file');
    const mode = type === 'file' ? 0o644 : 0o755;
    nodes.set(fromText(name), { ...directory({}), mode, ...facts, type, size: content?.length ?? 0 });
    contents.set(fromText(name), content ?? '');
  }
  return {
    stat: (at) => nodes.get(at),
    list: (at) =>
      [...nodes.keys()]
        .filter(
          (each) =>
            each !== '' &&
            join(at, each.slice(at === '' ? 0 : at.length + 1) as ByteString) === each &&
            !each.slice(at === '' ? 0 : at.length + 1).includes('/'),
        )
        .map((each) => each.slice(at === '' ? 0 : at.length + 1) as ByteString)
        .sort(),
    xattrs: () => new Map(),
    open: (at) => openContent(contents.get(at) ?? ''),
  };
}

function directory(facts: Partial<FileNode>): FileNode {
  return { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 1n, ctimeNs: 1n, ...facts };
}

function openContent(content: string): number {
  const dir = mkdtempSync(path.join(tmpdir(), 'tsbuild-tree-'));
  try {
    const file = path.join(dir, 'content');
    writeFileSync(file, content);
    return openSync(file, 'r');
  } finally {
    rmSync(dir, { recursive: true });
  }
}
