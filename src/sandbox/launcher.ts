/** The two ways of starting a container from its program, and the choice between them. */
import { TsbuildError } from '../errors.ts';
import { engineAvailable } from '../sys/syscall-program-engine.ts';
import type { ContainerProgram } from './container-program.ts';

/** Descriptors of this process by role (`stdin stdout stderr status init`, `netns` where private); they stay the caller's. */
export type LaunchInputs = ReadonlyMap<string, number>;

/** A container that has been started. */
export interface Launch {
  /** Settles once every process of the container has ended and is reaped. Rejects only on bugs and broken machines. */
  readonly ended: Promise<void>;
  /** SIGKILL to the container's PID 1, and so to all of it. May be called at any time, more than once. */
  kill(): void;
  /** The helper tells the PID of its child so that `kill` reaches it. */
  adopt(pid: number): void;
}

/** Throws, before anything has started, PRIVILEGE or a SyscallError. What fails later is told by the status socket. */
export type Launcher = (program: ContainerProgram, inputs: LaunchInputs) => Launch;

export type LauncherName = 'engine' | 'helper';

/** The engine, unless the machine cannot run it or `TSBUILD_LAUNCHER` (engine, helper) says otherwise. */
export async function chooseLauncher(asked = process.env['TSBUILD_LAUNCHER']): Promise<Launcher> {
  if (asked !== undefined && asked !== '' && asked !== 'engine' && asked !== 'helper') {
    throw new TsbuildError('USAGE', `Cannot start steps with the launcher ${asked}: TSBUILD_LAUNCHER is engine or helper`);
  }
  const name = asked || (engineAvailable() ? 'engine' : 'helper');
  if (name === 'engine') return (await import('./launch-by-engine.ts')).launchByEngine;
  return (await import('./launch-by-helper.ts')).launchByHelper;
}
