/** The table of K1 and K3: what a step's key is made of, each ingredient changed in turn, and what is none of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BuildOptions, build, tagImage } from '../../src/index.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let server: Server;
let page = 'one';

before(async () => {
  world = await makeWorld();
  server = createServer((_, response) => response.end(page)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
});
after(async () => {
  server.close();
  await world[Symbol.asyncDispose]();
});

/** `$URL` in a line is the address of a server that gives `page`. */
type Lines = string | readonly string[];
interface Change {
  readonly lines?: Lines;
  readonly options?: Partial<BuildOptions>;
  /** Acts on the context's directory. */
  readonly act?: (context: string) => void;
  /** Another Dockerfile than `Dockerfile`. */
  readonly dockerfile?: string;
}
/** Lines follow `FROM busybox` and a WORKDIR of the row's own, unless they start with a FROM. */
type Row = readonly [name: string, lines: Lines, change: Change, options?: Partial<BuildOptions>];

let rows = 0;

const FILES = { 'd/a': 'one', 'd/b': 'two', 'd/sub/c': 'three', other: 'other', 'n/x': 'named' };

/** Outcomes of the steps that make files, without the row's own WORKDIR, before and after the change. */
async function outcomes([, lines, change, options = {}]: Row): Promise<{ again: string[]; changed: string[] }> {
  const number = ++rows;
  const context = world.context(FILES);
  symlinkSync('a', path.join(context, 'd/link'));
  const write = (text: Lines, name = 'Dockerfile') => {
    const list = [text].flat();
    const start = list[0]?.startsWith('FROM') === true ? [] : ['FROM busybox', `WORKDIR /row-${number}`];
    const { port } = server.address() as AddressInfo;
    const whole = [...start, ...list].join('\n').replaceAll('$ROW', `row-${number}`).replaceAll('$URL', `http://127.0.0.1:${port}/f`);
    writeFileSync(path.join(context, name), `${whole}\n`);
  };
  const run = async (more: Partial<BuildOptions> = {}): Promise<string[]> => {
    const found: string[] = [];
    await build({
      ...{
        root: world.root,
        context,
        network: 'none',
        outputs: [{ type: 'cacheonly' }],
        contexts: { named: path.join(context, 'n') },
        ...options,
        ...more,
      },
      onEvent(event) {
        if (event.kind === 'step-end' && /^(RUN|COPY|ADD|WORKDIR)/i.test(event.step.text) && !/^WORKDIR \/row-/.test(event.step.text))
          found.push(event.outcome);
      },
    });
    return found;
  };
  write(lines);
  await run();
  const again = await run();
  change.act?.(context);
  if (change.lines !== undefined) write(change.lines);
  if (change.dockerfile !== undefined) write(lines, change.dockerfile);
  const named = change.dockerfile === undefined ? {} : { dockerfile: path.join(context, change.dockerfile) };
  return { again, changed: await run({ ...change.options, ...named }) };
}

const file = (name: string, text: string) => (context: string) => writeFileSync(path.join(context, name), text);
const remove = (name: string) => (context: string) => rmSync(path.join(context, name));
const inTurn =
  (...acts: ((context: string) => void)[]) =>
  (context: string) => {
    for (const act of acts) act(context);
  };
const changePage = () => {
  page += '+';
};
const secrets = (value: string) => ({ id: { value } });
const mount = (fields: string) => `RUN --mount=${fields} true`;
const COPY = 'COPY d /to/';

const MISSES: readonly Row[] = [
  // RUN: the command
  ['the command', 'RUN echo 1', { lines: 'RUN echo 2' }],
  ['a blank in the command', 'RUN echo 1', { lines: 'RUN echo  1' }],
  ['exec form for shell form', 'RUN true', { lines: 'RUN ["true"]' }],
  ['where arguments are split', 'RUN ["echo", "ab", "c"]', { lines: 'RUN ["echo", "a", "bc"]' }],
  ['an empty argument', 'RUN ["echo", "a"]', { lines: 'RUN ["echo", "a", ""]' }],
  ['the body of a here-document', ['RUN <<E', 'echo 1', 'E'], { lines: ['RUN <<E', 'echo 2', 'E'] }],
  [
    'the body of a here-document with an interpreter',
    ['RUN <<E', '#!/bin/sh', 'echo 1', 'E'],
    { lines: ['RUN <<E', '#!/bin/sh', 'echo 2', 'E'] },
  ],
  ['the name of a here-document file', ['RUN cat <<A', '1', 'A'], { lines: ['RUN cat <<B', '1', 'B'] }],
  ['SHELL', 'RUN true', { lines: ['SHELL ["/bin/sh", "-ec"]', 'RUN true'] }],
  // RUN: what it sees
  ['the value of an ENV', ['ENV A=1', 'RUN true'], { lines: ['ENV A=2', 'RUN true'] }],
  ['an ENV more', ['ENV A=1', 'RUN true'], { lines: ['ENV A=1 B=', 'RUN true'] }],
  ['an ENV less', ['ENV A=1 B=2', 'RUN true'], { lines: ['ENV A=1', 'RUN true'] }],
  ['where name and value of an ENV meet', ['ENV A=bc', 'RUN true'], { lines: ['ENV Ab=c', 'RUN true'] }],
  ['where an ENV ends and the next begins', ['ENV A=1', 'ENV B=2', 'RUN true'], { lines: ['ENV A="1B=2"', 'RUN true'] }],
  ['PATH', ['ENV PATH=/bin', 'RUN true'], { lines: ['ENV PATH=/bin:/sbin', 'RUN true'] }],
  ['the default of an ARG', ['ARG A=1', 'RUN true'], { lines: ['ARG A=2', 'RUN true'] }],
  ['an ARG that is given', ['ARG A', 'RUN true'], { options: { buildArgs: { A: '1' } } }],
  ['an ARG that is given as empty', ['ARG A', 'RUN true'], { options: { buildArgs: { A: '' } } }],
  ['an ARG of another value', ['ARG A', 'RUN true'], { options: { buildArgs: { A: '2' } } }, { buildArgs: { A: '1' } }],
  [
    'an argument of the platform',
    ['FROM busybox', 'ARG TARGETSTAGE', 'WORKDIR /$ROW', 'RUN true'],
    { lines: ['FROM busybox AS other', 'ARG TARGETSTAGE', 'WORKDIR /$ROW', 'RUN true'] },
  ],
  [
    'a proxy that an ARG names',
    ['ARG HTTP_PROXY', 'RUN true'],
    { options: { buildArgs: { HTTP_PROXY: 'http://b' } } },
    { buildArgs: { HTTP_PROXY: 'http://a' } },
  ],
  ['USER', 'RUN true', { lines: ['USER app', 'RUN true'] }],
  ['the group of USER', ['USER app', 'RUN true'], { lines: ['USER app:wheel', 'RUN true'] }],
  ['WORKDIR', ['WORKDIR /tmp', 'RUN true'], { lines: ['WORKDIR /root', 'RUN true'] }],
  ['the network of the instruction', 'RUN true', { lines: 'RUN --network=host true' }, { allow: ['network.host'] }],
  ['the network of the build', 'RUN true', { options: { network: 'host' } }],
  ['the security mode', 'RUN true', { lines: 'RUN --security=insecure true' }, { allow: ['security.insecure'] }],
  ['a name of --add-host', 'RUN true', { options: { addHosts: ['b:10.0.0.1'] } }, { addHosts: ['a:10.0.0.1'] }],
  ['a name of --add-host more', 'RUN true', { options: { addHosts: ['a:10.0.0.1'] } }],
  // RUN: mounts
  ['a mount', 'RUN true', { lines: mount('type=tmpfs,target=/m') }],
  ['the type of a mount', mount('type=tmpfs,target=/m'), { lines: mount('type=cache,target=/m') }],
  ['the target of a bind mount', mount('type=bind,target=/m'), { lines: mount('type=bind,target=/n') }],
  ['the source of a bind mount', mount('type=bind,source=d,target=/m'), { lines: mount('type=bind,source=n,target=/m') }],
  ['rw of a bind mount', mount('type=bind,source=d,target=/m'), { lines: mount('type=bind,source=d,target=/m,rw') }],
  ['a file below a bind mount', mount('type=bind,source=d,target=/m'), { act: file('d/sub/c', 'changed') }],
  [
    'the mode of a file below a bind mount',
    mount('type=bind,source=d,target=/m'),
    { act: (context) => chmodSync(path.join(context, 'd/a'), 0o755) },
  ],
  [
    'the image of a bind mount',
    mount('type=bind,from=busybox,source=/etc,target=/m'),
    { lines: mount('type=bind,from=base2,source=/etc,target=/m') },
  ],
  [
    'the stage of a bind mount',
    ['FROM busybox AS s', 'RUN echo $ROW', 'FROM busybox', mount('type=bind,from=s,target=/m')],
    { lines: ['FROM busybox AS s', 'RUN echo $ROW 2', 'FROM busybox', mount('type=bind,from=s,target=/m')] },
  ],
  ['the target of a cache', mount('type=cache,id=i,target=/m'), { lines: mount('type=cache,id=i,target=/n') }],
  ['the id of a cache', mount('type=cache,id=i,target=/m'), { lines: mount('type=cache,id=j,target=/m') }],
  ['ro of a cache', mount('type=cache,id=i,target=/m'), { lines: mount('type=cache,id=i,target=/m,ro') }],
  [
    'the source of a cache',
    mount('type=cache,id=k,target=/m,from=busybox,source=/etc'),
    { lines: mount('type=cache,id=k,target=/m,from=busybox,source=/home') },
  ],
  ['the target of a tmpfs', mount('type=tmpfs,target=/m'), { lines: mount('type=tmpfs,target=/n') }],
  ['the size of a tmpfs', mount('type=tmpfs,target=/m'), { lines: mount('type=tmpfs,target=/m,size=65536') }],
  ['the id of a secret', mount('type=secret,id=i,target=/m'), { lines: mount('type=secret,id=j,target=/m') }],
  ['the target of a secret', mount('type=secret,id=i,target=/m'), { lines: mount('type=secret,id=i,target=/n') }],
  ['the mode of a secret', mount('type=secret,id=i,target=/m'), { lines: mount('type=secret,id=i,target=/m,mode=0444') }],
  ['the owner of a secret', mount('type=secret,id=i,target=/m'), { lines: mount('type=secret,id=i,target=/m,uid=5') }],
  ['the group of a secret', mount('type=secret,id=i,target=/m'), { lines: mount('type=secret,id=i,target=/m,gid=5') }],
  ['the variable of a secret', mount('type=secret,id=i,env=A'), { lines: mount('type=secret,id=i,env=B') }],
  ['an agent of ssh', 'RUN true', { lines: mount('type=ssh') }],
  ['the target of an agent of ssh', mount('type=ssh,target=/m'), { lines: mount('type=ssh,target=/n') }],
  ['the mode of an agent of ssh', mount('type=ssh,target=/m'), { lines: mount('type=ssh,target=/m,mode=0666') }],
  [
    'the order of mounts',
    'RUN --mount=type=tmpfs,target=/m --mount=type=tmpfs,target=/m/n true',
    { lines: 'RUN --mount=type=tmpfs,target=/m/n --mount=type=tmpfs,target=/m true' },
  ],
  // COPY: files
  ['the content of a file', COPY, { act: file('d/a', 'eno') }],
  ['the content of a file further down', COPY, { act: file('d/sub/c', 'changed') }],
  ['contents that change places', COPY, { act: inTurn(file('d/a', 'two'), file('d/b', 'one')) }],
  ['where a file ends and the next begins', COPY, { act: inTurn(file('d/a', 'onet'), file('d/b', 'wo')) }],
  ['the mode of a file', COPY, { act: (context) => chmodSync(path.join(context, 'd/a'), 0o600) }],
  ['setuid of a file', COPY, { act: (context) => chmodSync(path.join(context, 'd/a'), 0o4644) }],
  ['the mode of a directory', COPY, { act: (context) => chmodSync(path.join(context, 'd/sub'), 0o700) }],
  ['a file more', COPY, { act: file('d/new', '') }],
  ['an empty directory more', COPY, { act: (context) => mkdirSync(path.join(context, 'd/empty')) }],
  ['a file less', COPY, { act: (context) => rmSync(path.join(context, 'd/b')) }],
  ['the name of a file', COPY, { act: (context) => renameSync(path.join(context, 'd/b'), path.join(context, 'd/z')) }],
  ['the directory of a file', COPY, { act: (context) => renameSync(path.join(context, 'd/b'), path.join(context, 'd/sub/b')) }],
  ['the type of a file', COPY, { act: inTurn(remove('d/b'), (context) => mkdirSync(path.join(context, 'd/b'))) }],
  ['a link for its file', COPY, { act: inTurn(remove('d/b'), (context) => symlinkSync('a', path.join(context, 'd/b'))) }],
  ['the target of a link', COPY, { act: inTurn(remove('d/link'), (context) => symlinkSync('./a', path.join(context, 'd/link'))) }],
  ['what a wildcard finds', 'COPY d/[ab] /to/', { act: (context) => rmSync(path.join(context, 'd/b')) }],
  ['what the ignore file leaves out', COPY, { act: file('.dockerignore', 'd/b\n') }],
  ['what the ignore file takes back in', COPY, { act: file('Dockerfile.dockerignore', 'd/*\n!d/b\n') }],
  // COPY: the instruction
  ['the source', 'COPY d/a /to/', { lines: 'COPY d/b /to/' }],
  ['the order of sources', 'COPY d/a d/b /to/', { lines: 'COPY d/b d/a /to/' }],
  ['a source more', 'COPY d/a /to/', { lines: 'COPY d/a d/b /to/' }],
  ['the destination', COPY, { lines: 'COPY d /other/' }],
  ['a directory as destination', 'COPY d/a /to', { lines: 'COPY d/a /to/' }],
  ['WORKDIR below a relative destination', ['WORKDIR /tmp', 'COPY d to/'], { lines: ['WORKDIR /root', 'COPY d to/'] }],
  ['--chown', COPY, { lines: 'COPY --chown=5 d /to/' }],
  ['the group of --chown', 'COPY --chown=5:5 d /to/', { lines: 'COPY --chown=5:6 d /to/' }],
  ['--chmod', COPY, { lines: 'COPY --chmod=700 d /to/' }],
  ['the mode of --chmod', 'COPY --chmod=700 d /to/', { lines: 'COPY --chmod=u=rwX,go= d /to/' }],
  ['--link', COPY, { lines: 'COPY --link d /to/' }],
  ['a file of --link', 'COPY --link d /$ROW/', { act: file('d/a', 'changed') }],
  ['--parents', 'COPY d/sub/c /to/', { lines: 'COPY --parents d/sub/c /to/' }],
  ['the pivot of --parents', 'COPY --parents d/sub/c /to/', { lines: 'COPY --parents d/./sub/c /to/' }],
  ['--exclude', COPY, { lines: 'COPY --exclude=b d /to/' }],
  ['the pattern of --exclude', 'COPY --exclude=a d /to/', { lines: 'COPY --exclude=b d /to/' }],
  ['the body of a here-document of COPY', ['COPY <<E /to/', '1', 'E'], { lines: ['COPY <<E /to/', '2', 'E'] }],
  ['the name of a here-document of COPY', ['COPY <<A /to/', '1', 'A'], { lines: ['COPY <<B /to/', '1', 'B'] }],
  ['a variable in a here-document of COPY', ['ARG A=1', 'COPY <<E /to/', '$A', 'E'], { options: { buildArgs: { A: '2' } } }],
  [
    'the stage of --from',
    ['FROM busybox AS s', 'RUN echo $ROW > /f', 'FROM busybox', 'COPY --from=s /f /f'],
    { lines: ['FROM busybox AS s', 'RUN echo $ROW 2 > /f', 'FROM busybox', 'COPY --from=s /f /f'] },
  ],
  ['the image of --from', 'COPY --from=busybox /etc/passwd /p', { lines: 'COPY --from=base2 /etc/passwd /p' }],
  ['the path in --from', 'COPY --from=busybox /etc/passwd /p', { lines: 'COPY --from=busybox /etc/group /p' }],
  ['a named context', 'COPY --from=named x /x', { act: file('n/x', 'changed') }],
  // ADD
  ['ADD for COPY', COPY, { lines: 'ADD d /to/' }],
  ['--unpack', 'ADD d /to/', { lines: 'ADD --unpack=false d /to/' }],
  ['--unpack=true', 'ADD d /to/', { lines: 'ADD --unpack=true d /to/' }],
  ['what a URL gives', 'ADD $URL /to/', { act: changePage }],
  ['the name in a URL', 'ADD $URL /to/', { lines: 'ADD $URL-2 /to/' }],
  // What it stands on
  ['the base image', ['FROM busybox', 'RUN echo $ROW'], { lines: ['FROM base2', 'RUN echo $ROW'] }],
  [
    'the base of the stage below',
    ['FROM busybox AS s', 'FROM s', 'RUN echo $ROW'],
    { lines: ['FROM base2 AS s', 'FROM s', 'RUN echo $ROW'] },
  ],
  ['a step before', ['RUN echo 1', 'RUN true'], { lines: ['RUN echo 2', 'RUN true'] }],
  ['a step before that is gone', ['RUN echo 1', 'RUN true'], { lines: 'RUN true' }],
  ['the order of steps', ['RUN echo 1', 'RUN echo 2'], { lines: ['RUN echo 2', 'RUN echo 1'] }],
  ['the path of WORKDIR', 'WORKDIR /a', { lines: 'WORKDIR /b' }],
  ['the owner of WORKDIR', 'WORKDIR /new', { lines: ['USER app', 'WORKDIR /new'] }],
];

const HITS: readonly Row[] = [
  // Files
  ['times of files', COPY, { act: (context) => utimesSync(path.join(context, 'd/a'), 1, 1) }],
  ['times of directories', COPY, { act: (context) => utimesSync(path.join(context, 'd/sub'), 1, 1) }],
  ['a file that is written again', COPY, { act: file('d/a', 'one') }],
  ['owners in the context', COPY, { act: (context) => chownSync(path.join(context, 'd/a'), 7, 7) }],
  ['a hard link for a copy', 'COPY d/a d/z* /to/', { act: (context) => linkSync(path.join(context, 'd/a'), path.join(context, 'hard')) }],
  [
    'extended attributes of the context',
    COPY,
    { act: (context) => execFileSync('setfattr', ['-n', 'user.x', '-v', 'y', path.join(context, 'd/a')]) },
  ],
  ['a file that nobody copies', COPY, { act: file('other', 'changed') }],
  ['a file that the ignore file leaves out', [COPY], { act: inTurn(file('.dockerignore', 'd/new\n'), file('d/new', 'x')) }],
  ['a file that --exclude leaves out', 'COPY --exclude=a d /to/', { act: file('d/a', 'changed') }],
  ['a file in another place than a bind mount', mount('type=bind,source=d,target=/m'), { act: file('other', 'changed') }],
  ['the ignore file itself', COPY, { act: file('.dockerignore', '# nothing\nnothing\n') }],
  // How it is written
  ['comments', ['RUN true'], { lines: ['# a comment', 'RUN true', '# and another'] }],
  ['blank lines and blanks around', ['RUN true'], { lines: ['', '   RUN   true   ', '', ''] }],
  ['the case of an instruction', 'RUN true', { lines: 'run true' }],
  ['blanks in the exec form', 'RUN ["echo", "a"]', { lines: 'RUN [ "echo" ,"a" ]' }],
  ['where lines of COPY are broken', COPY, { lines: ['COPY d \\', '  /to/'] }],
  ['the name of the Dockerfile', 'RUN true', { dockerfile: 'Other' }],
  ['the name of a stage', ['FROM busybox AS a', 'RUN echo $ROW'], { lines: ['FROM busybox AS b', 'RUN echo $ROW'] }],
  ['another name of the same image', ['FROM busybox', 'RUN echo $ROW'], { lines: ['FROM same:tag', 'RUN echo $ROW'] }],
  [
    'a stage that nobody needs',
    ['FROM busybox', 'RUN echo $ROW'],
    { lines: ['FROM busybox AS unused', 'RUN echo unused', 'FROM busybox', 'RUN echo $ROW'] },
  ],
  ['spelling of a destination', 'COPY d /to/', { lines: 'COPY d //to/./' }],
  ['quotes around a value', ['ENV A=1', 'RUN true'], { lines: ['ENV A="1"', 'RUN true'] }],
  ['ENV as one instruction or two', ['ENV A=1', 'ENV B=2', 'RUN true'], { lines: ['ENV A=1 B=2', 'RUN true'] }],
  // Metadata
  ['LABEL', 'RUN true', { lines: ['LABEL a=b', 'RUN true', 'LABEL c=d'] }],
  ['CMD and ENTRYPOINT', 'RUN true', { lines: ['CMD ["a"]', 'ENTRYPOINT ["b"]', 'RUN true'] }],
  ['EXPOSE, VOLUME, STOPSIGNAL', 'RUN true', { lines: ['EXPOSE 80', 'VOLUME /v', 'STOPSIGNAL SIGINT', 'RUN true'] }],
  ['HEALTHCHECK and MAINTAINER', 'RUN true', { lines: ['HEALTHCHECK CMD true', 'MAINTAINER me', 'RUN true'] }],
  ['ENV after the step', 'RUN true', { lines: ['RUN true', 'ENV A=1'] }],
  ['USER before COPY', COPY, { lines: ['USER app', COPY] }],
  ['ENV before COPY', COPY, { lines: ['ENV A=1', COPY] }],
  ['USER after the step', 'RUN true', { lines: ['RUN true', 'USER app'] }],
  // Arguments
  ['an ARG after the step', 'RUN true', { lines: ['RUN true', 'ARG A=1'] }],
  ['an ARG without a value', 'RUN true', { lines: ['ARG A', 'RUN true'] }],
  ['an argument that no ARG takes', 'RUN true', { options: { buildArgs: { UNUSED: '1' } } }],
  [
    'the order of arguments',
    ['ARG A', 'ARG B', 'RUN true'],
    { options: { buildArgs: { B: '2', A: '1' } } },
    { buildArgs: { A: '1', B: '2' } },
  ],
  ['a default that is given', ['ARG A=1', 'RUN true'], { options: { buildArgs: { A: '1' } } }],
  ['a proxy', 'RUN true', { options: { buildArgs: { HTTP_PROXY: 'http://b' } } }, { buildArgs: { HTTP_PROXY: 'http://a' } }],
  // What only changes how it runs, or what is made of it
  ['the value of a secret', mount('type=secret,id=id,required'), { options: { secrets: secrets('b') } }, { secrets: secrets('a') }],
  ['the agent of ssh', mount('type=ssh,id=a'), { lines: mount('type=ssh,id=b') }],
  ['sharing of a cache', mount('type=cache,id=s,target=/m'), { lines: mount('type=cache,id=s,target=/m,sharing=locked') }],
  ['what a cache holds', 'RUN --mount=type=cache,id=grows,target=/m echo x >> /m/f', {}],
  ['the address of --add-host', 'RUN true', { options: { addHosts: ['a:10.0.0.2'] } }, { addHosts: ['a:10.0.0.1'] }],
  ['ulimits', 'RUN true', { options: { limits: { ulimits: [{ name: 'nofile', soft: 100, hard: 100 }] } } }],
  ['the size of /dev/shm', 'RUN true', { options: { limits: { shmSize: 1 << 20 } } }],
  ['tags, labels and annotations', 'RUN true', { options: { tags: ['hits:1'], labels: { a: 'b' }, outputs: undefined } }],
  ['name servers', 'RUN true', { options: { dns: { servers: ['10.0.0.3'] } } }],
  ['jobs', 'RUN true', { options: { jobs: 1 } }],
  ['time limits', 'RUN true', { options: { timeoutMs: 60_000, stepTimeoutMs: 50_000 } }],
  ['explain', 'RUN true', { options: { explain: true } }],
  ['a platform that is that of the machine anyway', 'RUN true', { options: { platforms: ['local'] } }],
];

describe('K1 K3 the key of a step', () => {
  before(async () => {
    const other = world.context({ Dockerfile: 'FROM busybox\nRUN echo changed >> /etc/passwd\n' });
    await build({ root: world.root, context: other, tags: ['base2:latest'], network: 'none' });
    await tagImage({ root: world.root, source: 'busybox:latest', target: 'same:tag' });
  });

  for (const row of MISSES) {
    test(`misses: ${row[0]}`, async () => {
      const { again, changed } = await outcomes(row);
      assert.ok(again.length > 0 && again.every((outcome) => outcome === 'cached'), `unchanged: ${again.join()}`);
      assert.equal(changed.at(-1), 'done', changed.join());
    });
  }

  for (const row of HITS) {
    test(`hits: ${row[0]}`, async () => {
      const { again, changed } = await outcomes(row);
      assert.ok(again.length > 0 && again.every((outcome) => outcome === 'cached'), `unchanged: ${again.join()}`);
      assert.deepEqual(new Set(changed), new Set(['cached']), changed.join());
    });
  }

  test('has at least 60 ingredients here', () => {
    assert.ok(MISSES.length >= 60, String(MISSES.length));
    assert.equal(new Set([...MISSES, ...HITS].map(([name]) => name)).size, MISSES.length + HITS.length);
  });
});
