/** Live progress on a terminal. The drawing (listr2) is loaded only when a command takes long enough to be watched. */
import type { TsbuildError } from '../errors.ts';
import { openBuildView } from './build-view.ts';
import { printError } from './print-error.ts';
import type { Renderer } from './renderer.ts';
import type { Screen } from './screen.ts';
import { openStepTails } from './step-tails.ts';
import { noteText, stepText, transferLines } from './view-text.ts';

/** A build that is found in the cache is over before that. */
const PATIENCE_MS = 120;

export interface Drawing {
  /** Draws the last picture, which stays on the screen. */
  end(): Promise<void>;
}

export function openTtyRenderer(screen: Screen): Renderer {
  const view = openBuildView();
  const tails = openStepTails();
  let drawing: Promise<Drawing> | undefined;
  const timer = setTimeout(() => {
    drawing = import('./listr-drawing.ts').then(({ openListrDrawing }) => openListrDrawing(view, screen));
  }, PATIENCE_MS);
  return {
    event(event) {
      view.apply(event);
      tails.event(event);
    },
    async end(error?: TsbuildError) {
      clearTimeout(timer);
      if (drawing !== undefined) await (await drawing).end();
      else
        writeLines(screen, [
          ...view.stages.flatMap(({ steps }) => steps.map((step) => stepText(step, screen.paint))),
          ...transferLines(view.transfers.values()),
        ]);
      writeLines(
        screen,
        view.notes.map((note) => noteText(note, screen.paint)),
      );
      if (error !== undefined) printError(screen, error, tails.ofFailed());
    },
  };
}

function writeLines(screen: Screen, lines: readonly string[]): void {
  for (const line of lines) screen.stream.write(`${line}\n`);
}
