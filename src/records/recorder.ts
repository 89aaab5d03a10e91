/** Writes the record of one build while it runs: one more consumer of its events, which remembers few of them. */
import { closeSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildEvent, StepEndEvent, TransferEvent } from '../events.ts';
import type { AskedBuild, Maker, RecordedError, RecordedImage } from './build-record.ts';
import { FINISHED, makeRecord, PART } from './record-directory.ts';
import { type EndLine, FORMAT, type PlanLine, type RecordLine } from './record-lines.ts';
import { openSecretMask } from './secret-mask.ts';
import { openStepLogs } from './step-logs.ts';

export interface BuildRecorder {
  readonly id: string;
  take(event: BuildEvent): void;
  planned(plan: Omit<PlanLine, 'kind'>): void;
  /** A value that no log may show. */
  hide(secret: Uint8Array): void;
  /** The layers of the result. */
  assembled(images: readonly RecordedImage[]): void;
  finish(end: BuildEnd): void;
}

export interface BuildEnd extends Pick<EndLine, 'state' | 'digest'> {
  readonly error?: RecordedError | undefined;
}

export interface RecorderOptions {
  readonly startedAt: Date;
  readonly asked: AskedBuild;
  readonly madeBy: Maker;
  /** Takes credentials out of addresses; logs are another matter. */
  readonly redact: <T>(value: T) => T;
  /** What a failed step's error says of its end. */
  readonly endOf: (error: StepEndEvent['error']) => { readonly exitCode?: number | undefined; readonly signal?: string | undefined };
  /** Once, when the disk takes no more: nothing is recorded from then on. */
  readonly onFailure: (error: unknown) => void;
}

const LINES_BYTES_MAX = 32 << 20;
const PENDING_MAX = 64 << 10;
/** What a kill may lose. */
const FLUSH_MS = 100;
/** Of transfers that have not ended. */
const TRANSFERS_MAX = 10_000;

/** In the state directory `root`. Throws where the disk takes nothing; later it only tells. */
export function openRecorder(root: string, options: RecorderOptions): BuildRecorder {
  const { startedAt, asked, madeBy, redact, endOf } = options;
  const { id, directory, fd } = makeRecord(root, startedAt);
  const careful = openCare(options.onFailure);
  const mask = openSecretMask();
  const lines = openLines(fd, redact);
  const logs = openStepLogs(directory, mask);
  const later = openTimer(() =>
    careful(() => {
      lines.flush();
      logs.flush();
    }),
  );
  const at = (): number => Math.max(0, Date.now() - startedAt.getTime());
  const write = (line: RecordLine): void => {
    lines.add(line);
    later.start();
  };
  const steps = openSteps();
  const transfers = openTransfers(at);
  lines.add({ kind: 'build', format: FORMAT, startedAt: startedAt.toISOString(), asked, madeBy });
  // A cached build is over before this is written: then all of it is one write.
  later.start();
  const take = (event: BuildEvent): void => {
    if (event.kind === 'step-output') {
      logs.add(steps.indexOf(event.step.id), event.data);
      later.start();
      return;
    }
    if (event.kind === 'step-end') logs.flush(steps.indexOf(event.step.id));
    steps.count(event);
    const line = event.kind === 'transfer' ? transfers.take(event) : lineOf(event, at(), endOf);
    if (line !== undefined) write(line);
  };
  const end = (how: BuildEnd): void => {
    logs.flush('all');
    lines.end({ kind: 'finish', at: at(), steps: steps.counts(), ...how });
    renameSync(join(directory, PART), join(directory, FINISHED));
  };
  return {
    id,
    planned(plan) {
      steps.know(plan);
      careful(() => write({ kind: 'plan', ...plan }));
    },
    hide: mask.hide,
    assembled: (images) => careful(() => write({ kind: 'images', images })),
    take: (event) => careful(() => take(event)),
    finish(how) {
      later.stop();
      careful(() => end(how));
      closeSync(fd);
    },
  };
}

/** undefined where there is nothing to remember. */
function lineOf(event: Exclude<BuildEvent, TransferEvent>, at: number, endOf: RecorderOptions['endOf']): RecordLine | undefined {
  switch (event.kind) {
    case 'step-start':
      return { kind: 'start', step: event.step.id, at };
    case 'step-miss':
      return { kind: 'miss', step: event.step.id, reasons: event.reasons };
    case 'step-end':
      return { kind: 'end', step: event.step.id, at, outcome: event.outcome, ...endOf(event.error) };
    case 'warning':
      return { kind: 'warning', message: event.message, rule: event.rule, hint: event.hint };
    case 'image':
      return { kind: 'output', action: event.action, digest: event.digest, names: event.names, size: event.size };
    default:
      return undefined;
  }
}

/** A record is no reason for a build to fail. */
function openCare(onFailure: (error: unknown) => void): (work: () => void) => void {
  let state: 'well' | 'failed' = 'well';
  return (work) => {
    if (state === 'failed') return;
    try {
      work();
    } catch (error) {
      state = 'failed';
      onFailure(error);
    }
  };
}

/** Lines up to a bound; the last one always. */
function openLines(
  fd: number,
  redact: RecorderOptions['redact'],
): { add(line: RecordLine): void; end(line: EndLine): void; flush(): void } {
  let pending = '';
  let size = 0;
  let isCut = false;
  // Credentials stand in addresses: most lines have none, and are not walked through.
  const textOf = (line: RecordLine): string => {
    const text = JSON.stringify(line);
    return `${text.includes('://') ? JSON.stringify(redact(line)) : text}\n`;
  };
  const flush = (): void => {
    if (pending !== '') writeSync(fd, pending);
    pending = '';
  };
  return {
    add(line) {
      if (isCut) return;
      const text = textOf(line);
      size += text.length;
      isCut = size > LINES_BYTES_MAX;
      pending += isCut ? `${JSON.stringify({ kind: 'cut' })}\n` : text;
      if (pending.length > PENDING_MAX) flush();
    },
    end(line) {
      pending += textOf(line);
      flush();
    },
    flush,
  };
}

/** Runs `work` a moment after the first of several calls; keeps no process alive. */
function openTimer(work: () => void): { start(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      timer ??= setTimeout(() => {
        timer = undefined;
        work();
      }, FLUSH_MS).unref();
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

function openSteps() {
  const positions = new Map<string, number>();
  const outcomes = { total: 0, cached: 0, made: 0 };
  return {
    know({ stages }: Omit<PlanLine, 'kind'>): void {
      for (const { steps } of stages) for (const { id } of steps) if (!positions.has(id)) positions.set(id, positions.size);
      outcomes.total = positions.size;
    },
    indexOf: (id: string): number => positions.get(id) ?? positions.size,
    count(event: BuildEvent): void {
      if (event.kind === 'step-miss') outcomes.made++;
      if (event.kind === 'step-end' && event.outcome === 'cached') outcomes.cached++;
    },
    counts: () => ({ ...outcomes }),
  };
}

/** Of each transfer one line, when it is over. */
function openTransfers(at: () => number): { take(event: TransferEvent): RecordLine | undefined } {
  const started = new Map<string, number>();
  return {
    take({ action, id, bytes, state }) {
      const key = `${action} ${id}`;
      if (state === 'running') {
        if (!started.has(key) && started.size < TRANSFERS_MAX) started.set(key, at());
        return undefined;
      }
      const endedMs = at();
      const startedMs = started.get(key) ?? endedMs;
      started.delete(key);
      return { kind: 'transfer', action, name: id, bytes, startedMs, endedMs, state };
    },
  };
}
