/** Builds an image whose steps run the probes of fixtures/probes, and reads what those wrote. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import type { World } from '../_world.ts';

/** A static program of fixtures/probes. */
export function compileProbe(world: World, name: string, flags: readonly string[] = ['-static', '-pthread']): string {
  const program = path.join(world.directory, `${name}-probe`);
  execFileSync('gcc', ['-O1', '-Wall', '-Werror', ...flags, '-o', program, `fixtures/probes/${name}.c`], { stdio: 'pipe' });
  return program;
}

/** A context with the Dockerfile and the probes as `NAME-probe`. */
export function probeContext(world: World, dockerfile: string, probes: readonly string[]): string {
  const context = world.context({ Dockerfile: dockerfile });
  for (const probe of probes) copyFileSync(probe, path.join(context, path.basename(probe)));
  return context;
}

/** Content of a file of an image, read by a container of it. */
export async function fileOfImage(world: World, image: string, file: string): Promise<string> {
  return await world.succeed(['run', '--network', 'none', image, 'cat', file]);
}

/** `name value` lines. Those of /proc/PID/status are named by their own names, and lines of tables by their number. */
export function parseFacts(text: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of text.trimEnd().split('\n')) {
    const space = line.indexOf(' ');
    const name = line.slice(0, space);
    const value = line.slice(space + 1);
    const field = /^(status1?)\.\d+$/.exec(name);
    const [, key, rest = ''] = /^(\w+):(?:\\t)?(.*)$/.exec(value) ?? [];
    if (field !== null && key !== undefined) facts.set(`${field[1]}.${key}`, rest.trim());
    else facts.set(name, value);
  }
  const own = `process.${facts.get('pid')}`;
  facts.set('process.self', facts.get(own) ?? '');
  facts.delete(own);
  assert.ok(facts.size > 1, 'The probe wrote nothing');
  return facts;
}
