/** A world with something to steal beside it, and builds that must neither read nor change it. */
import assert from 'node:assert/strict';
import { type CommandResult, makeWorld, type World } from '../_world.ts';
import { assertSameHost, hostSnapshot, plantVictim } from './_host-snapshot.ts';

export interface Attack extends AsyncDisposable {
  readonly world: World;
  /** A directory of the host with `canary`, `hostname`, `ptmx` and `b/c`. */
  readonly victim: string;
  readonly canary: string;
  /** No crash, and no byte of the canary in what is printed. */
  build(dockerfile: string, args?: readonly string[], env?: NodeJS.ProcessEnv): Promise<CommandResult>;
  /** The build, which must succeed; what its steps printed, a line each. */
  lines(dockerfile: string, args?: readonly string[], env?: NodeJS.ProcessEnv): Promise<string[]>;
  /** Throws where the victim or the machine has changed since the start. */
  assertUnharmed(): void;
}

export async function makeAttack(): Promise<Attack> {
  const world = await makeWorld();
  const canary = 'canary-91c4-of-this-machine';
  const victim = plantVictim(world.directory, canary);
  const before = hostSnapshot([victim]);
  const build: Attack['build'] = async (dockerfile, args = [], env = {}) => {
    const context = world.context({ Dockerfile: `FROM busybox\n${dockerfile}\n` });
    const result = await world.tsbuild(['--progress=plain', '--no-cache', '--network=none', ...args, context], {
      env: { ...process.env, ...env },
    });
    assert.notEqual(result.code, 70, result.stderr);
    assert.ok(!(result.stderr + result.stdout).includes(canary), result.stderr);
    return result;
  };
  return {
    ...{ world, victim, canary, build },
    async lines(dockerfile, args, env) {
      const { code, stderr } = await build(dockerfile, args, env);
      assert.equal(code, 0, stderr);
      return stderr.split('\n').flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
    },
    assertUnharmed: () => assertSameHost(before),
    [Symbol.asyncDispose]: async () => await world[Symbol.asyncDispose](),
  };
}
