/** What draws the events of one command. Chosen once, when the command starts. */
import type { TsbuildError } from '../errors.ts';
import type { BuildEvent } from '../events.ts';
import { openJsonRenderer } from './json.ts';
import { openPlainRenderer } from './plain.ts';
import { openQuietRenderer } from './quiet.ts';
import type { Screen } from './screen.ts';
import { openTtyRenderer } from './tty.ts';

export interface Renderer {
  event(event: BuildEvent): void;
  /** Nothing moves on the screen after it. With an error, the error is the last thing shown. */
  end(error?: TsbuildError): Promise<void>;
}

export const PROGRESS_MODES = ['auto', 'plain', 'tty', 'quiet', 'json'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** `auto` is `tty` on a terminal and `plain` elsewhere. A terminal without width can only be written to line by line. */
export function openRenderer(mode: ProgressMode, screen: Screen): Renderer {
  switch (mode) {
    case 'json':
      return openJsonRenderer(screen);
    case 'quiet':
      return openQuietRenderer(screen);
    case 'plain':
      return openPlainRenderer(screen);
    case 'tty':
      return screen.columns > 0 ? openTtyRenderer(screen) : openPlainRenderer(screen);
    case 'auto':
      return screen.isTerminal && screen.columns > 0 ? openTtyRenderer(screen) : openPlainRenderer(screen);
  }
}
