/** Records as a reader would give them, made by hand. */
import type { BuildRecord, RecordedStage, RecordedStep } from '../../src/records/build-record.ts';
import { ASKED, MAKER } from '../records/_recording.ts';

export function step(id: string, times: readonly [number, number] | undefined, more: Partial<RecordedStep> = {}): RecordedStep {
  const number = Number(id.split('/')[1]);
  return {
    ...{
      id,
      number,
      count: 9,
      text: `RUN ${id}`,
      lines: { start: number, end: number },
      inputs: number > 1 ? [`${id.split('/')[0]}/${number - 1}`] : [],
    },
    ...{ startedMs: times?.[0], endedMs: times?.[1], outcome: times === undefined ? undefined : 'done' },
    ...{ reasons: [], exitCode: undefined, signal: undefined, logBytes: 0, layers: [] },
    ...more,
  };
}

export function stage(name: string, steps: readonly RecordedStep[], base = 'image:busybox'): RecordedStage {
  return { name, platform: 'linux/amd64', base, steps };
}

export function buildRecord(stages: readonly RecordedStage[], more: Partial<BuildRecord> = {}): BuildRecord {
  return {
    ...{ id: '20260505-120000000-abc123', state: 'done', isPinned: false, startedAt: '2026-05-05T12:00:00.000Z', durationMs: 1000 },
    ...{ asked: ASKED, madeBy: MAKER, steps: undefined, digest: undefined, dockerfile: { name: 'Dockerfile', text: 'RUN a\nRUN b\n' } },
    ...{ stages, transfers: [], warnings: [], images: [], outputs: [], error: undefined, isCut: false },
    ...more,
  };
}
