/** Programs of the machine that some builds use. */

import { findProgram } from './find-program.ts';
import type { Finding } from './finding.ts';

export interface ProgramFacts {
  /** Name → path. */
  readonly found: ReadonlyMap<string, string>;
}

const PROGRAMS = [
  { name: 'git', means: 'contexts, ADD and mounts cannot come from git repositories', fix: 'apt-get install git' },
  { name: 'ssh', means: 'git repositories cannot be reached by ssh', fix: 'apt-get install openssh-client' },
] as const;

export function readProgramFacts(): ProgramFacts {
  const found = PROGRAMS.map(({ name }) => [name, findProgram(name)] as const);
  return { found: new Map(found.flatMap(([name, path]) => (path === undefined ? [] : [[name, path]]))) };
}

export function programFindings({ found }: ProgramFacts): Finding[] {
  return PROGRAMS.map(({ name, means, fix }): Finding => {
    const path = found.get(name);
    const about = { group: 'programs', id: `programs.${name}`, title: name } as const;
    return path === undefined ? { ...about, state: 'limited', found: 'not in PATH', means, fix } : { ...about, state: 'ok', found: path };
  });
}
