/** Nothing but an error, and then the failed step's last output: nobody has seen it. */
import { printError } from './print-error.ts';
import type { Renderer } from './renderer.ts';
import type { Screen } from './screen.ts';
import { openStepTails } from './step-tails.ts';

export function openQuietRenderer(screen: Screen): Renderer {
  const tails = openStepTails();
  return {
    event: tails.event,
    async end(error) {
      if (error !== undefined) printError(screen, error, tails.ofFailed());
    },
  };
}
