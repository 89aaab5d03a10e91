/** `tsbuild doctor`: what this machine offers to this user. */
import { defaultRoot } from '../../default-root.ts';
import type { CommonOptions } from '../../session.ts';
import { cgroupFindings, readCgroupFacts } from './control-groups.ts';
import { deviceFindings, readDeviceFacts } from './devices.ts';
import type { Finding } from './finding.ts';
import { kernelFindings, readKernelFacts } from './kernel.ts';
import { networkFindings, readNetworkFacts } from './network.ts';
import { platformFindings, readPlatformFacts } from './platforms.ts';
import { programFindings, readProgramFacts } from './programs.ts';
import { readRegistryFacts, registryFindings } from './registries.ts';
import { readRootlessFacts, rootlessFindings } from './rootless.ts';
import { readStateFacts, stateFindings } from './state-directory.ts';
import { readStepFacts, stepFindings } from './steps.ts';
import { readAsker, readSurroundingsFacts, surroundingsFindings } from './surroundings.ts';

export type { Finding } from './finding.ts';

export interface Examination {
  readonly user: string;
  /** Nothing is missing: a build with RUN can run. */
  readonly ready: boolean;
  readonly findings: readonly Finding[];
}

/** Tries what it can, in children and namespaces that are gone afterwards; changes nothing of the machine. */
export async function examineMachine(options: Pick<CommonOptions, 'root'> = {}): Promise<Examination> {
  const asker = readAsker();
  const state = readStateFacts(asker, options.root ?? defaultRoot());
  const findings = [
    ...stepFindings(await readStepFacts(asker, state.writable ? state.nearest : undefined)),
    ...kernelFindings(readKernelFacts()),
    ...stateFindings(state),
    ...rootlessFindings(await readRootlessFacts(asker)),
    ...networkFindings(readNetworkFacts(asker)),
    ...cgroupFindings(readCgroupFacts()),
    ...platformFindings(readPlatformFacts()),
    ...programFindings(readProgramFacts()),
    ...surroundingsFindings(readSurroundingsFacts(asker)),
    ...deviceFindings(await readDeviceFacts()),
    ...registryFindings(readRegistryFacts()),
  ];
  return { user: asker.name, ready: findings.every(({ state: found }) => found !== 'missing'), findings };
}
