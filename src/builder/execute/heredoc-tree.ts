/** Here-documents as files: a tree of their own, so that COPY places them by the same rules as all others. */
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import type { Heredoc } from '../../parser/instruction.ts';
import { type ByteString, fromText, nameOf } from '../../tree/byte-string.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import type { CopySource } from './copy-sources.ts';
import { CREATED_NS } from './stage-run.ts';

/** An unnamed file (open(2)), which Node has no name for; Linux has one number for it on all architectures that we run on. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** One directory per document, since two may have the same name. `directory` takes the files while they are read. */
export function heredocTree(heredocs: readonly Heredoc[], directory: string): { tree: FileTree; sources: CopySource[] } {
  const contents = new Map<ByteString, Buffer>();
  for (const [index, { name, body }] of heredocs.entries()) contents.set(fromText(`${index}/${name}`), Buffer.from(body));
  const contentAt = (path: ByteString): Buffer => {
    const content = contents.get(path);
    if (content === undefined) throw new Error(`No here-document ${path}`);
    return content;
  };
  const tree: FileTree = {
    stat: (path) => (contents.has(path) ? fileNode(contentAt(path)) : undefined),
    list: () => [],
    xattrs: () => NO_XATTRS,
    open: (path) => openContent(directory, contentAt(path)),
  };
  const sources = [...contents].map(([path, content]) => ({ path, node: fileNode(content), name: nameOf(path) }));
  return { tree, sources };
}

function fileNode(content: Buffer): FileNode {
  return { type: 'file', mode: 0o644, uid: 0, gid: 0, size: content.length, mtimeNs: CREATED_NS, ctimeNs: CREATED_NS };
}

function openContent(directory: string, content: Buffer): number {
  const fd = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
  try {
    writeFileSync(fd, content);
    // A second opening has its own offset, at the beginning.
    return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  } finally {
    closeSync(fd);
  }
}
