/** Records of builds that nobody ran: events as the engine sends them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import type { StepLabel } from '../../src/events.ts';
import type { AskedBuild, Maker } from '../../src/records/build-record.ts';
import { openRecorder, type RecorderOptions } from '../../src/records/recorder.ts';

export const ASKED: AskedBuild = {
  ...{ context: '/project', dockerfile: undefined, target: undefined, tags: ['app:1'], platforms: [], buildArgs: ['MODE'], labels: [] },
  ...{ secrets: [], ssh: [], outputs: ['image'], noCache: false },
};
export const MAKER: Maker = {
  ...{ tsbuild: '0.1.0', node: 'v20.0.0', platform: 'linux/amd64', kernel: '6.1', cores: 2, memoryBytes: 1 << 30, user: 'root' },
};
export const FROM: StepLabel = { id: 'main/1', stage: '[1/2]', number: 1, count: 2, text: 'FROM busybox' };
export const RUN: StepLabel = { id: 'main/2', stage: '[2/2]', number: 2, count: 2, text: 'RUN make' };
export const PLAN = {
  dockerfile: { name: 'Dockerfile', text: 'FROM busybox\nRUN make\n' },
  stages: [
    {
      ...{ name: 'main', platform: 'linux/amd64', base: 'image:busybox' },
      steps: [
        { id: 'main/1', number: 1, count: 2, text: FROM.text, lines: { start: 1, end: 1 }, inputs: ['image:busybox'] },
        { id: 'main/2', number: 2, count: 2, text: RUN.text, lines: { start: 2, end: 2 }, inputs: ['main/1'] },
      ],
    },
  ],
};

/** A state directory that goes with the test file. */
export function temporaryRoot(): string {
  const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-records-'));
  after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

export function record(root: string, options: Partial<RecorderOptions> = {}) {
  const onFailure = (error: unknown): never => {
    throw error;
  };
  return openRecorder(root, {
    ...{ startedAt: new Date(), asked: ASKED, madeBy: MAKER, redact: (value) => value, endOf: () => ({}), onFailure },
    ...options,
  });
}
