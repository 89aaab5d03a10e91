/** Remembers a build: what was asked, what happened, how it ended. A record that cannot be written is a warning, and no more. */
import { availableParallelism, release, totalmem } from 'node:os';
import { hideCredentialsIn } from '../attestations/hide-credentials.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { errorCodeOf, RunError, TsbuildError } from '../errors.ts';
import type { BuildEvent, Emit } from '../events.ts';
import { formatExcerpt } from '../excerpt.ts';
import { formatPlatform } from '../oci/platform.ts';
import { readVersion } from '../read-version.ts';
import type { AskedBuild, Maker, RecordedError } from '../records/build-record.ts';
import { type BuildRecorder, openRecorder } from '../records/recorder.ts';
import { type Retention, retentionOf, sweepRecords } from '../records/retention.ts';
import { hostFacts } from '../sandbox/host-facts.ts';
import type { Session } from '../session.ts';
import { type BuildOptions, contextPlace } from './build.ts';
import type { BuildInput } from './build-input.ts';
import type { OutputsResult } from './build-outputs.ts';
import type { FinishedBuild } from './finished-build.ts';
import { recordedImages, recordedPlan } from './recorded-plan.ts';

export interface BuildRecording {
  /** Takes notice of events on their way to the caller. */
  readonly emit: Emit;
  /** Reasons of misses are wanted: by the record, whoever else asks. */
  readonly explain: boolean;
  /** Records `work` from its start to its end. */
  during<T extends OutputsResult>(session: Session, work: () => Promise<T>): Promise<T>;
  planned(plans: readonly BuildPlan[]): void;
  /** The same input; what its secrets are, no log will show. */
  watched(input: BuildInput): BuildInput;
  assembled(session: Session, build: FinishedBuild, result: OutputsResult): Promise<void>;
}

/** Throws USAGE for a `TSBUILD_BUILD_RECORDS` that says nothing. */
export function openRecording(options: BuildOptions, startedAt: Date): BuildRecording {
  const retention = options.record === false ? 'off' : retentionOf(process.env['TSBUILD_BUILD_RECORDS']);
  let recorder: BuildRecorder | undefined;
  const pass = options.onEvent ?? (() => {});
  return {
    explain: retention !== 'off' || options.explain === true,
    emit(event) {
      recorder?.take(event);
      if (event.kind !== 'step-miss' || options.explain === true) pass(event);
    },
    async during(session, work) {
      if (retention === 'off') return await work();
      recorder = started(session, retention, { options, startedAt });
      try {
        const result = await work();
        recorder?.finish({ state: 'done', digest: result.digest });
        return result;
      } catch (error) {
        recorder?.finish({ state: session.signal.aborted && !isTimeout(error) ? 'canceled' : 'failed', error: recordedError(error) });
        throw error;
      } finally {
        recorder = undefined;
      }
    },
    planned: (plans) => recorder?.planned(recordedPlan(plans, options.network ?? 'default')),
    watched: (input) => (recorder === undefined ? input : { ...input, secrets: hiding(input.secrets, recorder) }),
    async assembled(session, build, { descriptor }) {
      if (recorder === undefined || descriptor === undefined) return;
      try {
        recorder.assembled(await recordedImages(session, build, descriptor));
      } catch (error) {
        if (!(error instanceof TsbuildError)) throw error;
        session.emit({ kind: 'warning', message: `The record of this build is without its layers: ${error.message}` });
      }
    },
  };
}

function started(
  { store, emit, platform }: Session,
  retention: Retention,
  { options, startedAt }: { readonly options: BuildOptions; readonly startedAt: Date },
): BuildRecorder | undefined {
  const onFailure = (error: unknown): void => {
    const code = errorCodeOf(error) ?? String(error);
    emit({ kind: 'warning', message: `Cannot write the record of this build: ${code}` });
  };
  try {
    sweepRecords(store.root, retention, { now: startedAt, coming: 1 });
    const madeBy = makerOf(formatPlatform(platform));
    return openRecorder(store.root, { startedAt, asked: askedOf(options), madeBy, redact: hideCredentialsIn, endOf: endOfRun, onFailure });
  } catch (error) {
    onFailure(error);
    return undefined;
  }
}

function askedOf(options: BuildOptions): AskedBuild {
  const { context, dockerfile, target, tags = [], platforms = [], outputs = [] } = options;
  const names = (values: object = {}): string[] => Object.keys(values);
  const types = outputs.map(({ type }) => type as string);
  return {
    ...{ context: contextPlace(context), dockerfile, target, tags, platforms },
    ...{ buildArgs: names(options.buildArgs), labels: names(options.labels), secrets: names(options.secrets), ssh: names(options.ssh) },
    outputs: [
      ...(types.length === 0 ? ['image'] : types),
      ...(options.push === true ? ['push'] : []),
      ...(options.load === true ? ['load'] : []),
    ],
    noCache: options.noCache === true,
  };
}

function makerOf(platform: string): Maker {
  return {
    ...{ tsbuild: readVersion(), node: process.version, platform, kernel: release() },
    ...{ cores: availableParallelism(), memoryBytes: totalmem() },
    user: hostFacts().userNamespace === 'initial' ? 'root' : 'user namespace',
  };
}

function endOfRun(error: (BuildEvent & { kind: 'step-end' })['error']) {
  return error instanceof RunError ? { exitCode: error.exitCode, signal: error.signal } : {};
}

function isTimeout(error: unknown): boolean {
  return error instanceof TsbuildError && error.code === 'ERR_TSBUILD_TIMEOUT';
}

function recordedError(error: unknown): RecordedError {
  if (!(error instanceof TsbuildError)) return { code: undefined, message: String(error), hint: undefined, excerpt: undefined };
  const { code, message, hint, location } = error;
  return { code, message, hint, excerpt: location && formatExcerpt(location) };
}

function hiding(secrets: BuildInput['secrets'], recorder: BuildRecorder): BuildInput['secrets'] {
  return {
    read(id) {
      const value = secrets.read(id);
      if (value !== undefined) recorder.hide(value);
      return value;
    },
  };
}
