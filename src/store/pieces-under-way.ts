/** What a thread that writes a blob has been sent and has not answered. */
import type { Digest } from '../oci/digest.ts';
import { returnPiece } from '../sys/piece.ts';
import { beginWriteBack } from '../sys/write-back.ts';
import type { WritingAnswer } from './writing-worker.ts';

const WRITE_BACK_BYTES = 8 << 20;

export interface State {
  /** Pieces that the thread has. */
  readonly underWay: Map<number, Uint8Array>;
  digest: Digest | undefined;
  failure: Error | undefined;
}

export interface PiecesUnderWay {
  /** Where these bytes belong. */
  expect(bytes: Uint8Array): { readonly piece: number; readonly position: number };
  take(answer: WritingAnswer): void;
  /** No answer comes any more. */
  end(error: Error): void;
  /** Resolves when it is so. Rejects with what failed, at once, unless it is the end of all pieces that is waited for. */
  until(isSo: (state: State) => boolean, failed?: 'also after a failure'): Promise<State>;
}

/** Of the blob in the file `fd`. One caller waits at a time. */
export function trackPieces(fd: number): PiecesUnderWay {
  const state: State = { underWay: new Map(), digest: undefined, failure: undefined };
  let [sent, written, begun, count] = [0, 0, 0, 0];
  let wake = (): void => {};
  return {
    expect(bytes) {
      const place = { piece: count++, position: sent };
      state.underWay.set(place.piece, bytes);
      sent += bytes.length;
      return place;
    },
    take(answer) {
      if (answer.kind === 'digest') state.digest = `sha256:${answer.hex}`;
      else {
        const bytes = state.underWay.get(answer.piece) ?? new Uint8Array();
        state.underWay.delete(answer.piece);
        returnPiece(bytes);
        if (answer.failure !== undefined) state.failure ??= Object.assign(new Error(answer.failure.message), answer.failure);
        written += bytes.length;
        if (written - begun >= WRITE_BACK_BYTES) {
          beginWriteBack(fd, begun, written - begun);
          begun = written;
        }
      }
      wake();
    },
    end(error) {
      state.failure ??= error;
      state.underWay.clear();
      wake();
    },
    async until(isSo, failed) {
      for (;;) {
        if (failed === undefined && state.failure !== undefined) throw state.failure;
        if (isSo(state)) return state;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
