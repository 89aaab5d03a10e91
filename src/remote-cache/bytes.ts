/** Bytes of services that keep caches, on their way. */

export async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Of `size` bytes at least, but for the last. */
export async function* inPieces(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let gathered = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    gathered += chunk.length;
    if (gathered < size) continue;
    yield Buffer.concat(chunks);
    [chunks, gathered] = [[], 0];
  }
  if (gathered > 0) yield Buffer.concat(chunks);
}

/** What a server says as JSON; without members where it is none. */
export function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
