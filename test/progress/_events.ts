/** Events of a small build, as the engine emits them. */
import { TsbuildError } from '../../src/errors.ts';
import type { BuildEvent, StepLabel } from '../../src/events.ts';
import type { Screen } from '../../src/progress/screen.ts';
import { openScreen } from '../../src/progress/screen.ts';

export const FROM = step(1, 'FROM debian:bookworm');
export const RUN = step(2, 'RUN make');
export const PLAN: BuildEvent = { kind: 'plan', stages: [{ name: 'build', steps: [FROM, RUN] }] };

export function step(number: number, text: string): StepLabel {
  return { id: `build/${number}`, stage: 'build', number, count: 2, text };
}

export function start(label: StepLabel): BuildEvent {
  return { kind: 'step-start', step: label };
}

export function output(label: StepLabel, text: string | Uint8Array): BuildEvent {
  return { kind: 'step-output', step: label, stream: 'stdout', data: typeof text === 'string' ? Buffer.from(text) : text };
}

export function done(label: StepLabel, durationMs = 1234): BuildEvent {
  return { kind: 'step-end', step: label, outcome: 'done', durationMs };
}

export function cached(label: StepLabel): BuildEvent {
  return { kind: 'step-end', step: label, outcome: 'cached', durationMs: 0 };
}

export function failed(label: StepLabel): BuildEvent {
  return { kind: 'step-end', step: label, outcome: 'failed', durationMs: 1000, error: FAILURE };
}

export const FAILURE = new TsbuildError('RUN_FAILED', 'RUN make exited with code 2', {
  hint: 'Read the output of the step.',
  location: {
    file: 'Dockerfile',
    text: 'FROM debian:bookworm\nRUN make\n',
    range: { startLine: 2, startColumn: 0, endLine: 2, endColumn: 8 },
  },
});

/** A screen that keeps what is written; no terminal. */
export function recordingScreen(env: Record<string, string> = {}): { screen: Screen; text(): string } {
  const chunks: string[] = [];
  const stream = { write: (text: string) => chunks.push(text) > 0 } as unknown as NodeJS.WriteStream;
  return { screen: openScreen(stream, env), text: () => chunks.join('') };
}
