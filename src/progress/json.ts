/** One event a line, for programs. Fields are those of events.ts with `time` (RFC 3339); an error ends the stream. */
import type { TsbuildError } from '../errors.ts';
import type { BuildEvent } from '../events.ts';
import { plainJson } from '../text/terminal-text.ts';
import { openOutputLines } from './output-lines.ts';
import type { Renderer } from './renderer.ts';
import type { Screen } from './screen.ts';

/** Output is given as text in whole lines: bytes that are not UTF-8 become U+FFFD. */
export function openJsonRenderer(screen: Screen): Renderer {
  const lines = openOutputLines();
  const write = (value: object): void => {
    screen.stream.write(`${plainJson({ time: new Date().toISOString(), ...value })}\n`);
  };
  return {
    event(event) {
      if (event.kind === 'step-output') {
        const complete = lines.take(event);
        if (complete.length > 0) write({ ...event, data: `${complete.join('\n')}\n` });
        return;
      }
      if (event.kind === 'step-end') {
        const rest = lines.rest(event.step);
        if (rest.length > 0) write({ kind: 'step-output', step: event.step, data: rest.join('\n') });
      }
      write(asData(event));
    },
    async end(error) {
      if (error !== undefined) write({ kind: 'error', ...errorData(error), hint: error.hint, location: place(error) });
    },
  };
}

function asData(event: BuildEvent): object {
  return event.kind === 'step-end' && event.error !== undefined ? { ...event, error: errorData(event.error) } : event;
}

function errorData(error: TsbuildError): object {
  return { code: error.code, message: error.message };
}

/** Without the Dockerfile's text. */
function place(error: TsbuildError): object | undefined {
  return error.location && { file: error.location.file, range: error.location.range };
}
