/** Plans a Dockerfile's text for linux/amd64. */
import assert from 'node:assert/strict';
import type { BuildPlan } from '../../../src/builder/plan/build-plan.ts';
import { type PlanOptions, planBuild } from '../../../src/builder/plan/plan-build.ts';
import { TsbuildError } from '../../../src/errors.ts';
import type { Platform } from '../../../src/oci/platform.ts';
import { parseDockerfile } from '../../../src/parser/parse-dockerfile.ts';

export const AMD64 = { os: 'linux', architecture: 'amd64' };

export interface PlanInput {
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly allowed?: NonNullable<PlanOptions['allowed']>;
  readonly machine?: PlanOptions['machine'];
  readonly platform?: Platform;
  readonly images?: PlanOptions['images'];
  readonly runnable?: PlanOptions['runnable'];
  readonly labels?: PlanOptions['labels'];
}

export function plan(text: string, { args = {}, platform = AMD64, ...input }: PlanInput = {}): BuildPlan {
  const dockerfile = parseDockerfile(text, { file: 'Dockerfile' });
  return planBuild(dockerfile, { ...input, buildArgs: new Map(Object.entries(args)), platform, buildPlatform: AMD64 });
}

/** `code message (line)` of the error that planning throws. */
export function planFailure(text: string, input: PlanInput = {}): string {
  try {
    plan(text, input);
  } catch (error) {
    assert.ok(error instanceof TsbuildError, String(error));
    const place = error.location === undefined ? '' : ` (${error.location.range.startLine})`;
    return `${error.code.slice('ERR_TSBUILD_'.length)} ${error.message}${place}`;
  }
  throw new assert.AssertionError({ message: 'expected a TsbuildError' });
}
