/** What comes of an answer → pieces for one reader: large where more has come than was asked for, and never withheld where somebody waits. */
import type { Dispatcher } from 'undici';
import { PIECE_BYTES, takePiece } from '../sys/piece.ts';
import { keepRead } from './large-reads.ts';

export interface ResponseBody {
  /** Copies what comes, or keeps the memory that a socket read it into. */
  take(bytes: Buffer, flow: Pick<Dispatcher.DispatchController, 'pause' | 'resume'>): void;
  end(error?: Error): void;
  /** To be read once. What it yields is the reader's. */
  readonly bytes: AsyncIterable<Buffer>;
}

/** So many pieces wait before the sender is kept waiting. */
const PIECES_MAX = 2;

export function openResponseBody(): ResponseBody {
  const whole: Buffer[] = [];
  let [filling, filled]: [Buffer | undefined, number] = [undefined, 0];
  let ended: { readonly error: Error | undefined } | undefined;
  let wake = (): void => {};
  let resume = (): void => {};
  const pass = (): void => {
    if (filling !== undefined) whole.push(filling.subarray(0, filled));
    filling = undefined;
  };
  const next = (): Buffer | undefined => {
    if (whole.length === 0) pass();
    return whole.shift();
  };
  async function* read(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const piece = next();
      resume();
      if (piece !== undefined) yield piece;
      else if (ended === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (ended.error !== undefined) throw ended.error;
      else return;
    }
  }
  const copy = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length; ) {
      if (filling === undefined) [filling, filled] = [takePiece(), 0];
      const taken = bytes.copy(filling, filled, at);
      filled += taken;
      at += taken;
      if (filled === PIECE_BYTES) pass();
    }
  };
  return {
    take(bytes, flow) {
      if (keepRead(bytes)) {
        pass();
        whole.push(bytes);
      } else copy(bytes);
      if (whole.length >= PIECES_MAX) {
        flow.pause();
        resume = () => {
          if (whole.length < PIECES_MAX) flow.resume();
        };
      }
      wake();
    },
    end(error) {
      ended ??= { error };
      wake();
    },
    bytes: read(),
  };
}
