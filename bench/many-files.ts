/** Builds of many files beside the peers: COPY of 20,000, one of them changed, an archive of them added, a RUN that writes 50,000. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FILES, makeFiles, nameOf } from './_files-context.ts';
import { BASE, openPeers, type Peer } from './_peers.ts';
import { shell, sideBySide } from './_side-by-side.ts';
import type { Bench, Figure } from './_workload.ts';

const WRITTEN = 50_000;
/** In the contents of files: a peer would know those of an earlier run again. */
const RUN = randomBytes(2).toString('hex');

export async function manyFiles(bench: Bench): Promise<Figure[]> {
  const peers = await openPeers(bench);
  return [
    ...(await copies(bench, peers)),
    ...(await oneChanged(bench, peers)),
    ...(await archives(bench, peers)),
    ...(await written(bench, peers)),
  ];
}

type Peers = readonly [Peer, ...Peer[]];

/** A context that nobody has seen, each round. */
async function copies(bench: Bench, peers: Peers): Promise<Figure[]> {
  let context = '';
  return await sideBySide({
    ...{ name: `COPY of ${FILES} files`, peers },
    prepare(round) {
      context = filesContext(bench, `${RUN} ${round}`);
    },
    floor: { name: 'cp -a', measure: () => copied(bench, context) },
    measure: (peer) => peer.build({ context }),
  });
}

async function oneChanged(bench: Bench, peers: Peers): Promise<Figure[]> {
  const context = filesContext(bench, `${RUN} c`);
  for (const peer of peers) await peer.build({ context });
  let changes = 0;
  return await sideBySide({
    ...{ name: `one of ${FILES} files changed`, peers },
    floor: {
      name: 'find -printf, cp -a',
      measure: async () => (await shell('find "$1" -printf "%p %s %T@\\n" > /dev/null', context)) + (await copied(bench, context)),
    },
    async measure(peer) {
      writeFileSync(path.join(context, 'src', nameOf(0)), `${RUN} ${changes++}`);
      return await peer.build({ context });
    },
  });
}

async function archives(bench: Bench, peers: Peers): Promise<Figure[]> {
  const context = bench.context({ Dockerfile: `FROM ${BASE}\nADD files.tar /app/\n` });
  const large = bench.context({ Dockerfile: `FROM ${BASE}\nADD large.tar /app/\n` });
  const files = path.join(bench.directory, 'files');
  makeFiles(files, 'archive');
  await shell('tar -C "$1" -cf "$2/files.tar" .', files, context);
  await shell(
    'mkdir "$2/d" && head -c 536870912 /dev/urandom > "$2/d/large" && tar -C "$2/d" -cf "$1/large.tar" large && rm -r "$2/d"',
    large,
    bench.directory,
  );
  const unpacked = (archive: string) => inDirectory(bench, (directory) => shell('tar -C "$1" -xf "$2"', directory, archive));
  return [
    ...(await sideBySide({
      ...{ name: `ADD of an archive of ${FILES} files`, peers },
      floor: { name: 'tar -x', measure: () => unpacked(path.join(context, 'files.tar')) },
      measure: (peer) => peer.build({ context, cache: 'ignore' }),
    })),
    ...(await sideBySide({
      ...{ name: 'ADD of an archive of 512 MiB', peers },
      floor: { name: 'tar -x', measure: () => unpacked(path.join(large, 'large.tar')) },
      measure: (peer) => peer.build({ context: large, cache: 'ignore' }),
    })),
  ];
}

async function written(bench: Bench, peers: Peers): Promise<Figure[]> {
  const script = `i=0; while [ $i -lt ${WRITTEN} ]; do [ $((i%500)) -ne 0 ] || mkdir d$((i/500)); echo $i > d$((i/500))/$i; i=$((i+1)); done`;
  const context = bench.context({ Dockerfile: `FROM ${BASE}\nRUN mkdir /w && cd /w && ${script}\n` });
  return await sideBySide({
    ...{ name: `a RUN that writes ${WRITTEN} files`, peers },
    floor: {
      name: 'the same in a directory',
      measure: () => inDirectory(bench, (directory) => shell(`cd "$1" && busybox sh -c '${script}'`, directory)),
    },
    measure: (peer) => peer.build({ context, cache: 'ignore' }),
  });
}

function filesContext(bench: Bench, seed: string): string {
  const context = bench.context({ Dockerfile: `FROM ${BASE}\nCOPY src /app\n` });
  makeFiles(path.join(context, 'src'), seed);
  return context;
}

async function copied(bench: Bench, context: string): Promise<number> {
  return await inDirectory(bench, (directory) => shell('cp -a "$1/src" "$2"', context, directory));
}

async function inDirectory(bench: Bench, use: (directory: string) => Promise<number>): Promise<number> {
  return await use(mkdtempSync(path.join(bench.directory, 'floor-')));
}
