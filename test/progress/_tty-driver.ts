/** Run by tty.test.ts in a real terminal: draws the build that its argument names. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openRenderer } from '../../src/progress/renderer.ts';
import { openScreen } from '../../src/progress/screen.ts';
import { cached, done, FAILURE, FROM, failed, output, PLAN, RUN, start } from './_events.ts';

const screen = openScreen(process.stderr, process.env);
const renderer = openRenderer('auto', screen);
const scenario = process.argv[2] ?? '';
renderer.event({ kind: 'transfer', action: 'pull', id: 'x', bytes: 500, total: 1000, state: 'running' });
if (scenario === 'late-plan') await sleep(600);
renderer.event(PLAN);
if (scenario === 'quick-failure') await sleep(400);
renderer.event(start(FROM));
renderer.event({ kind: 'transfer', action: 'pull', id: 'x', bytes: 1000, total: 1000, state: 'done' });
renderer.event(cached(FROM));
renderer.event(start(RUN));
if (scenario !== 'cached' && scenario !== 'quick-failure') await sleep(700);
for (let line = 0; line < 30; line++) renderer.event(output(RUN, `line ${line}\x1b[2J\n`));
if (scenario !== 'cached' && scenario !== 'quick-failure') await sleep(400);
renderer.event(scenario.endsWith('failure') ? failed(RUN) : done(RUN));
renderer.event({ kind: 'image', action: 'stored', digest: `sha256:${'0'.repeat(64)}`, names: ['app:1'], size: 1000 });
await renderer.end(scenario.endsWith('failure') ? FAILURE : undefined);
process.stdout.write('RESULT\n');
