/** Where no overlay can be mounted, steps work on copies of their files, and their layers are the same bits. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUILDS, layersOfSteps } from './_builds.ts';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { makeWorld, type World } from './_world.ts';

/** Beside those that every way of building has to get right. */
const HARD: Readonly<Record<string, readonly string[]>> = {
  'directories that are made again, moved and emptied': [
    'RUN mkdir -p /d/e/f /g && echo 1 > /d/e/1 && echo 2 > /d/2 && echo 3 > /g/3',
    'RUN rm -r /d/e && mkdir /d/e && echo 4 > /d/e/4',
    'RUN mv /d /h && mkdir /d && touch /d/new && rm /g/3',
    'RUN rm -r /g && ln -s d /g && touch -d @1 /h',
  ],
  'names of one inode': [
    'RUN echo x > /a && ln /a /b && ln /a /c && echo y > /lone',
    'RUN rm /c',
    'RUN rm /b && echo z > /b',
    'RUN ln /lone /other && chmod 600 /lone',
  ],
  'files that look as before': [
    'RUN echo one > /f && echo two > /g && touch -d @1700000000 /f /g',
    'RUN echo eno > /f && touch -d @1700000000 /f && cp -p /g /h && mv /h /g',
    "RUN printf 'twO' | dd of=/g conv=notrunc && touch -d @1700000000 /g && chmod 644 /f",
    'WORKDIR /made/by/us',
    'RUN echo > here && rm here; touch -d @1700000000 /etc',
  ],
  'sockets and pipes': [
    'RUN mkfifo /p && (nc -lU /etc/s & sleep 0.2; kill $!; ls -l /etc/s > /ls; sed -i s/[0-9]//g /ls) || true',
    'RUN rm -f /etc/s /p',
  ],
};

/** Those that tell most. */
const SAMPLE = Object.fromEntries(Object.entries(BUILDS).filter(([name]) => /^(whiteouts|capabilities|device|mounts)/.test(name)));

describe('--snapshotter=copy', () => {
  let overlay: World;
  let user: UserWorld;
  /** Another overlay has its state directory, so that no mark of overlayfs can be made there. */
  let inside: string;
  before(async () => {
    [overlay, user] = await Promise.all([makeWorld(), makeUserWorld()]);
    inside = path.join(overlay.directory, 'inside');
    for (const name of ['lower', 'upper', 'work', '']) mkdirSync(path.join(inside, name), { recursive: true });
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(path.join(overlay.directory, 'o', name), { recursive: true });
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', 'lowerdir=o/lower,upperdir=o/upper,workdir=o/work', inside], {
      cwd: overlay.directory,
    });
    cpSync(overlay.root, path.join(inside, 'state'), { recursive: true, verbatimSymlinks: true });
  });
  after(async () => {
    if (inside !== undefined) execFileSync('umount', [inside]);
    await overlay?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  for (const [name, instructions] of Object.entries({ ...SAMPLE, ...HARD })) {
    it(`builds the layers of overlay: ${name}`, async () => {
      const expected = await layersOfSteps(overlay, instructions, ['--snapshotter=overlay']);
      const copying = { ...overlay, succeed: atRoot(overlay, path.join(inside, 'copy')) };
      await copying.succeed(['import', path.join(overlay.directory, 'busybox.tar'), 'busybox:latest']);
      assert.deepEqual(await layersOfSteps(copying, instructions), expected, 'on an overlay');
      assert.deepEqual(await layersOfSteps(overlay, instructions, ['--no-cache', '--snapshotter=copy']), expected, 'on request');
      assert.deepEqual(await layersOfSteps(user, instructions, ['--snapshotter=copy']), expected, 'without root');
    });
  }

  // An overlay takes the names of a lower layer's inode apart when one of them is written to. A copy, as any disk, does not.
  it('changes all names of an inode when a step changes one', async () => {
    const lines = [
      'FROM busybox',
      'RUN echo x > /one && ln /one /two && echo y > /a && ln /a /b',
      'RUN chmod 600 /two; rm /a',
      'RUN stat -c %a%h /one /two /b',
    ];
    const context = overlay.context({ Dockerfile: `${lines.join('\n')}\n` });
    const { code, stderr } = await overlay.tsbuild(['build', '--network=none', '--progress=plain', '--snapshotter=copy', context]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stderr.match(/\d{4}$/gm), ['6002', '6002', '6441'], stderr);
  });

  it('warns once of an overlay that cannot be mounted, and is the way there', async () => {
    const root = path.join(inside, 'warned');
    await overlay.succeed(['import', path.join(overlay.directory, 'busybox.tar'), 'busybox:latest'], { root });
    const context = overlay.context({
      Dockerfile: 'FROM busybox\nRUN rm -r /home && mkdir /home\nRUN test -d /home && ! test -e /home/app\n',
    });
    const built = await overlay.tsbuild(['build', '--network=none', context], { root });
    assert.equal(built.code, 0, built.stderr);
    assert.equal(built.stderr.match(/no overlay can be mounted/g)?.length, 1, built.stderr);
    const ran = await overlay.tsbuild(['run', '--network=none', 'busybox', 'touch', '/here'], { root });
    assert.equal(ran.code, 0, ran.stderr);
    const refused = await overlay.tsbuild(['build', '--network=none', '--no-cache', '--snapshotter=overlay', context], { root });
    assert.notEqual(refused.code, 0);
  });
});

function atRoot(world: World, root: string): World['succeed'] {
  return async (args, options = {}) => await world.succeed(args, { root, ...options });
}
