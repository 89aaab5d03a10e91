/** Where progress and errors go: standard error and what it can do. */
import picocolors from 'picocolors';

export interface Screen {
  readonly stream: NodeJS.WriteStream;
  readonly isTerminal: boolean;
  /** 0 where nothing is known of the width. */
  readonly columns: number;
  readonly colours: 'keep' | 'drop';
  readonly paint: ReturnType<typeof picocolors.createColors>;
}

/** `NO_COLOR` (see no-color.org) and `TERM=dumb` switch colours off, a pipe has none. */
export function openScreen(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>): Screen {
  const isTerminal = stream.isTTY === true && env.TERM !== 'dumb';
  const isColoured = isTerminal && (env.NO_COLOR ?? '') === '';
  return {
    ...{ stream, isTerminal, columns: stream.columns ?? 0 },
    colours: isColoured ? 'keep' : 'drop',
    paint: picocolors.createColors(isColoured),
  };
}
