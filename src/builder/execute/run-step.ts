/** RUN: the step's container described, run on an active snapshot, and its mount stubs taken away again. */
import { stepKey } from '../../cache/cache-key.ts';
import { TsbuildError } from '../../errors.ts';
import type { StepLabel } from '../../events.ts';
import { formatPlatform, platformOf } from '../../oci/platform.ts';
import { parseDevice } from '../../parser/device.ts';
import { expandWord } from '../../parser/expand.ts';
import type { RunInstruction } from '../../parser/instruction.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import type { Device } from '../../sandbox/devices/device-specification.ts';
import { grantDevices } from '../../sandbox/devices/grant-devices.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import { needRunnable } from '../../sandbox/runnable-architectures.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { setModeAt, setOwnerAt } from '../../sys/metadata.ts';
import { type Stat, statAt } from '../../sys/stat.ts';
import type { ByteString } from '../../tree/byte-string.ts';
import { proxyEnvironment } from '../plan/build-args.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { commandArgv } from '../plan/command-argv.ts';
import { cleanWorkdir } from '../plan/config-patch.ts';
import { cachedStep, type StepResult } from './cached-step.ts';
import { inChroot } from './in-chroot.ts';
import { inContainer, type StepNetworkMode } from './in-container.ts';
import { openOutputLimiter } from './output-limit.ts';
import { needGoodEnd } from './run-end.ts';
import { runMounts } from './run-mounts.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import { type StageState, variableOf } from './stage-state.ts';
import { stepAccount } from './step-account.ts';
import { openStepDeadline } from './step-deadline.ts';
import { makeWorkdir, ownerOfProcess } from './workdir-step.ts';

/** An open directory itself. */
const ROOT = '' as ByteString;

export interface RunStep {
  readonly instruction: RunInstruction;
  readonly label: StepLabel;
  /** Where the mounts read, one per mount. */
  readonly mountSources: readonly (StepSource | undefined)[];
  /** What it gets for its --device. */
  readonly devices: readonly Device[];
}

/** Throws RUN_FAILED, RUN_KILLED, TIMEOUT, RUN_NOT_STARTED, USER_NOT_FOUND, DEVICE_INVALID, and what the machine refuses. */
export async function runStep(run: StageRun, state: StageState, step: RunStep): Promise<StepResult> {
  const { resources } = run;
  const argv = commandArgv(step.instruction.command, state.config.Shell);
  const mount = runMounts(run, {
    ...{ instruction: step.instruction, sources: step.mountSources, cwd: cleanWorkdir(state.config.WorkingDir) },
    expand: (word) => expandWord(word, variableOf(state), { escape: run.plan.dockerfile.escape }),
  });
  const env = [...state.variables].map(([name, value]) => `${name}=${value}`);
  const cwd = cleanWorkdir(state.config.WorkingDir);
  const user = state.config.User ?? '';
  const network = networkOf(step.instruction, resources.options.network);
  const security = step.instruction.security === 'insecure' ? 'insecure' : 'sandbox';
  const platform = formatPlatform(state.platform);
  const hostNames = resources.options.addHosts.map(({ name }) => name);
  const mounts = await mount.identity();
  const isolation = resources.isolation === 'chroot' ? { isolation: resources.isolation } : {};
  const rare = { ...wantedDevices(step.instruction), ...isolation };
  const choices = { network, security, hostNames, mounts, platform, ...rare };
  const ingredients = { kind: 'run', parent: state.key, argv, env, cwd, user, ...choices } as const;
  return await cachedStep(run, {
    key: stepKey(ingredients),
    parent: state.key,
    files: state.files,
    telling: { label: step.label, account: async (key) => stepAccount(state, { key, ingredients }), origin: state.origin },
    async make(active) {
      needRunnable(state.platform, platformOf(process.arch));
      if (cwd !== '/') await makeWorkdir(resources, active, { path: cwd, ownerIn: ownerOfProcess(user), createdNs: CREATED_NS });
      await using open = await mount.open(active);
      const grant = grantDevices(step.devices, hostFacts());
      const given = { mounts: [...open.specs, ...grant.mounts], moreGroups: grant.groups };
      // A proxy that is given counts more than an ENV of its name.
      const variables = new Map([...state.variables, ...proxyEnvironment(run.plan.args.buildArgs)]);
      const all = withEnv(
        [...variables].map(([name, value]) => `${name}=${value}`),
        new Map([...open.env, ...grant.env]),
      );
      // Its processes may have a secret in their memory, and so in a dump of it (core(5)).
      const core = mount.hasSecrets ? { core: 'none' as const } : {};
      const root = statAt(active.upperFd, ROOT);
      await runCommand(run, active, { argv, env: all, cwd, user, network, security, ...given, step, ...core });
      restoreRoot(active, root);
    },
  });
}

/** Part of the key as BuildKit has it: by name. */
function wantedDevices({ devices }: RunInstruction): { readonly devices?: readonly string[] } {
  if (devices.length === 0) return {};
  return { devices: devices.map(parseDevice).flatMap(({ name, required }) => [name, String(required)]) };
}

/** Mode and owner of the root itself are no part of a layer with Docker: later steps, and the image, have those of the base. */
function restoreRoot({ upperFd }: ActiveSnapshot, before: Stat | undefined): void {
  const after = statAt(upperFd, ROOT);
  if (before === undefined || after === undefined) throw new Error('An open directory has facts');
  if (after.uid !== before.uid || after.gid !== before.gid) setOwnerAt(upperFd, ROOT, before.uid, before.gid);
  if (after.mode !== before.mode) setModeAt(upperFd, ROOT, before.mode);
}

interface Command {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: StepNetworkMode;
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly MountSpec[];
  readonly moreGroups: readonly number[];
  readonly core?: 'none';
  readonly step: RunStep;
}

/** Variables of mounts take the place of others of their names. */
function withEnv(env: readonly string[], more: ReadonlyMap<string, string>): string[] {
  if (more.size === 0) return [...env];
  return [...env.filter((text) => !more.has(text.split('=', 1)[0] ?? '')), ...[...more].map(([name, value]) => `${name}=${value}`)];
}

async function runCommand(run: StageRun, active: ActiveSnapshot, { step, ...command }: Command): Promise<void> {
  const { resources } = run;
  const { addHosts, dns, limits, outputLimits, stepTimeoutMs } = resources.options;
  using deadline = openStepDeadline({ text: step.label.text, build: resources.deadline, stepTimeoutMs });
  const limiters = { stdout: openOutputLimiter(outputLimits), stderr: openOutputLimiter(outputLimits) };
  const runIn = resources.isolation === 'chroot' ? inChroot : inContainer;
  const end = await runIn(resources, active, {
    ...command,
    ...{ addHosts, dns, limits, stdin: 'empty' },
    onStart: deadline.start,
    onOutput(stream, bytes) {
      const data = limiters[stream](bytes);
      if (data.length > 0) resources.emit({ kind: 'step-output', step: step.label, stream, data });
    },
  });
  resources.signal.throwIfAborted();
  deadline.check();
  needGoodEnd(end, { text: step.label.text, limits: resources.options.limits, emit: resources.emit });
}

function networkOf(instruction: RunInstruction, chosen: 'default' | 'none' | 'host'): StepNetworkMode {
  const mode = instruction.network ?? chosen;
  switch (mode) {
    case 'default':
      return chosen === 'default' ? 'private' : chosen;
    case 'none':
    case 'host':
      return mode;
    default:
      throw new TsbuildError('UNSUPPORTED', `Cannot use the network ${JSON.stringify(mode)}: only default and none`);
  }
}
