/** How each instruction changes the image config. Source: Dockerfile reference; Docker's image spec for Shell, Healthcheck and ArgsEscaped. */
import path from 'node:path/posix';
import type { ContainerConfig } from '../../oci/image-config.ts';
import type { CommandLine, HealthcheckInstruction, Pair } from '../../parser/instruction.ts';
import type { StageInstruction } from './build-plan.ts';
import { commandArgv } from './command-argv.ts';
import { exposedPorts } from './exposed-ports.ts';
import { checkStopSignal } from './stop-signal.ts';

/** What instructions change; a caller's own state may have more in it. */
export interface ConfigState {
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  /** CMD was given in this stage: ENTRYPOINT then leaves it alone. */
  readonly hasOwnCmd: boolean;
}

/**
 * The state after an instruction whose words are expanded (`expandInstruction`). ARG, RUN, COPY and ADD change
 * nothing here. Throws DOCKERFILE_SYNTAX for a port or signal that is none; no location.
 */
export function patchConfig<State extends ConfigState>(state: State, instruction: StageInstruction): State {
  const { config } = state;
  switch (instruction.kind) {
    case 'env':
      return { ...state, config: { ...config, Env: setEnv(config.Env ?? [], instruction.pairs) } };
    case 'label':
      return { ...state, config: { ...config, Labels: setLabels(config.Labels ?? {}, instruction.pairs) } };
    case 'workdir':
      return { ...state, config: { ...config, WorkingDir: nextWorkdir(config.WorkingDir, instruction.path) } };
    case 'user':
      return { ...state, config: withUser(config, instruction.user) };
    case 'cmd':
      return { ...state, config: withCmd(config, instruction.command), hasOwnCmd: true };
    case 'entrypoint':
      return { ...state, config: withEntrypoint(state, instruction.command) };
    case 'shell':
      return { ...state, config: { ...config, Shell: instruction.argv } };
    case 'expose':
      return { ...state, config: withKeys(config, 'ExposedPorts', exposedPorts(instruction.ports)) };
    case 'volume':
      return { ...state, config: withKeys(config, 'Volumes', instruction.paths) };
    case 'stopsignal':
      return { ...state, config: { ...config, StopSignal: checkStopSignal(instruction.signal) } };
    case 'healthcheck':
      return { ...state, config: { ...config, Healthcheck: healthcheckOf(instruction) } };
    case 'maintainer':
      return { ...state, author: instruction.name };
    case 'arg':
    case 'run':
    case 'copy':
    case 'add':
      return state;
    case 'onbuild':
      return { ...state, config: { ...config, OnBuild: [...(config.OnBuild ?? []), instruction.trigger] } };
  }
}

/** A variable that is there keeps its place; a new one goes to the end. */
export function setEnv(env: readonly string[], pairs: readonly Pair[]): string[] {
  const result = [...env];
  const places = new Map(result.map((text, index) => [text.split('=', 1)[0] ?? '', index]));
  for (const { key, value } of pairs) {
    const place = places.get(key) ?? result.length;
    result[place] = `${key}=${value}`;
    places.set(key, place);
  }
  return result;
}

/** An absolute path as it is written; a relative one goes on from the present one and is cleaned. As BuildKit writes it into the config. */
export function nextWorkdir(current: string | undefined, next: string): string {
  return next.startsWith('/') ? next : cleanWorkdir(current, next);
}

/** What a config's WorkingDir means: absolute, clean, without a slash at its end. A relative `next` goes on from the present one. */
export function cleanWorkdir(current: string | undefined, next = ''): string {
  const clean = path.resolve('/', current ?? '', next);
  // POSIX lets two leading slashes mean something else; nothing here does.
  return clean.replace(/^\/+/, '/');
}

/** An empty one is none. */
function withUser({ User: _, ...config }: ContainerConfig, user: string): ContainerConfig {
  return user === '' ? config : { ...config, User: user };
}

function setLabels(labels: Readonly<Record<string, string>>, pairs: readonly Pair[]): Record<string, string> {
  return Object.assign(Object.create(null), labels, ...pairs.map(({ key, value }) => single(key, value)));
}

/** An empty command clears the inherited one. */
function withCmd({ Cmd: _, ...config }: ContainerConfig, command: CommandLine): ContainerConfig {
  const argv = commandArgv(command, config.Shell);
  // Docker sets it on Linux too, whatever the form.
  return { ...config, ...(argv.length === 0 ? {} : { Cmd: argv }), ArgsEscaped: true };
}

/** A new entrypoint makes an inherited CMD meaningless, but not one of the same stage. */
function withEntrypoint({ config: before, hasOwnCmd }: ConfigState, command: CommandLine): ContainerConfig {
  const { Entrypoint: _entrypoint, Cmd, ...config } = before;
  const argv = commandArgv(command, config.Shell);
  return { ...config, ...(argv.length === 0 ? {} : { Entrypoint: argv }), ...(hasOwnCmd && Cmd !== undefined ? { Cmd } : {}) };
}

function withKeys(config: ContainerConfig, name: 'ExposedPorts' | 'Volumes', keys: readonly string[]): ContainerConfig {
  if (keys.length === 0) return config;
  const entries: Record<string, Record<string, never>> = Object.assign(
    Object.create(null),
    config[name],
    ...keys.map((key) => single(key, {})),
  );
  return { ...config, [name]: entries };
}

/** An object with one foreign key, which may be `__proto__`. */
function single<V>(key: string, value: V): Record<string, V> {
  return Object.fromEntries([[key, value]]);
}

/** Docker's form: durations in nanoseconds, nothing for a default. */
function healthcheckOf({ check }: HealthcheckInstruction): Record<string, unknown> {
  if (check.type === 'none') return { Test: healthcheckTest(check) };
  const numbers = {
    Interval: check.intervalNs,
    Timeout: check.timeoutNs,
    StartPeriod: check.startPeriodNs,
    StartInterval: check.startIntervalNs,
    Retries: check.retries,
  };
  return {
    Test: healthcheckTest(check),
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)),
  };
}

/** The `Test` of Docker's form. */
export function healthcheckTest(check: HealthcheckInstruction['check']): string[] {
  if (check.type === 'none') return ['NONE'];
  const { command } = check;
  return command.form === 'shell' ? ['CMD-SHELL', command.script] : ['CMD', ...command.argv];
}
