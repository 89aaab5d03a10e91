/** The bytes that a step writes, cut into lines. */
import { StringDecoder } from 'node:string_decoder';
import type { StepLabel, StepOutputEvent } from '../events.ts';

/** A program may write gigabytes without a line break; a line is cut here, in UTF-16 units. */
const LINE_MAX = 16_384;

export interface OutputLines {
  /** Lines that are complete with this event. */
  take(event: StepOutputEvent): string[];
  /** What the step wrote after its last line break. */
  rest(step: StepLabel): string[];
}

/** Standard output and error of each step are cut apart from each other, so that a line is one program's line. */
export function openOutputLines(): OutputLines {
  const steps = new Map<string, Map<string, OpenLine>>();
  return {
    take(event) {
      const streams = steps.get(event.step.id) ?? new Map<string, OpenLine>();
      steps.set(event.step.id, streams);
      const open = streams.get(event.stream) ?? { decoder: new StringDecoder('utf8'), text: '' };
      streams.set(event.stream, open);
      return cut(open, open.decoder.write(Buffer.from(event.data.buffer, event.data.byteOffset, event.data.byteLength)));
    },
    rest(step) {
      const streams = [...(steps.get(step.id)?.values() ?? [])];
      steps.delete(step.id);
      return streams.map((open) => lastVersion(open.text + open.decoder.end())).filter((line) => line !== '');
    },
  };
}

interface OpenLine {
  readonly decoder: StringDecoder;
  text: string;
}

function cut(open: OpenLine, text: string): string[] {
  const lines = (open.text + text).split('\n');
  open.text = lines.pop() ?? '';
  if (open.text.length > LINE_MAX) {
    // A progress bar that redraws itself with carriage returns needs only its last version.
    open.text = lastVersion(open.text);
    while (open.text.length > LINE_MAX) {
      lines.push(open.text.slice(0, LINE_MAX));
      open.text = open.text.slice(LINE_MAX);
    }
  }
  return lines.flatMap(pieces).map(lastVersion);
}

function pieces(line: string): string[] {
  if (line.length <= LINE_MAX) return [line];
  return Array.from({ length: Math.ceil(line.length / LINE_MAX) }, (_, index) => line.slice(index * LINE_MAX, (index + 1) * LINE_MAX));
}

/** What a terminal would show of a line that carriage returns have overwritten. */
function lastVersion(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}
