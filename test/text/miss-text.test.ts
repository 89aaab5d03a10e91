import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildEvent } from '../../src/events.ts';
import { openRenderer } from '../../src/progress/renderer.ts';
import { done, PLAN, RUN, recordingScreen, start } from '../progress/_events.ts';

const MISS: BuildEvent = {
  kind: 'step-miss',
  step: RUN,
  reasons: [
    { kind: 'file', path: 'src/a\x1b[2J.ts', change: 'content' },
    { kind: 'variable', name: 'MODE', change: 'changed', before: 'a\nb', after: 'c' },
    { kind: 'variable', name: 'OLD', change: 'removed', before: 'x' },
    { kind: 'variable', name: 'TOKEN', change: 'added' },
    { kind: 'more', count: 3 },
  ],
};
const TEXT = 'MISS: src/a.ts changed, MODE changed ("a\\nb" → "c"), OLD removed (was "x"), TOKEN added, 3 more';

test('missText() is one line below the step in both views, and lets nothing of a name act on the terminal', async () => {
  for (const mode of ['plain', 'tty'] as const) {
    const { screen, text } = recordingScreen();
    const renderer = openRenderer(mode, screen);
    for (const event of [PLAN, start(RUN), MISS, done(RUN)]) renderer.event(event);
    await renderer.end();
    const lines = text().split('\n');
    const at = lines.findIndex((line) => line.includes('RUN make'));
    assert.ok(
      lines.slice(at + 1).some((line) => line.includes(TEXT)),
      `${mode}: ${text()}`,
    );
  }
});
