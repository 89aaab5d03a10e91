/** Steps that make, change and remove every kind of file: built in two ways, their layers are to be the same bits. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { World } from './_world.ts';

/** Digests of the layers that the instructions make on busybox, which the world has. */
export async function layersOfSteps(world: World, instructions: readonly string[], flags: readonly string[] = []): Promise<string[]> {
  const lines = instructions.map((line) => (line.startsWith('RUN') ? `${line}; ${AGED}` : line));
  const context = world.context({
    ...{ Dockerfile: `FROM busybox\n${lines.join('\n')}\n`, a: 'a', 'd/x': 'x', 'd/e/y': 'y', secret: 'hush' },
  });
  execFileSync('sh', ['-euc', TREE.replaceAll('DIR', context)]);
  const secret = `id=s,src=${path.join(context, 'secret')}`;
  await world.succeed(['build', '--network=none', ...flags, '-t', 'out', '--secret', secret, context]);
  return layersOf(await world.succeed(['inspect', 'out']));
}

export function layersOf(inspected: string): string[] {
  const { manifest } = JSON.parse(inspected) as { manifest: { layers: { digest: string }[] } };
  return manifest.layers.map(({ digest }) => digest);
}

/** Gives everything that a step has changed one time. */
export const AGED = "find / -xdev -newer /etc/passwd -exec touch -h -d @1700000000 '{}' + 2> /dev/null || true";

/** What root makes of `DIR` for ADD: owners, a capability, devices, attributes, and such (E6) that would say what a file stands for. */
export const TREE = `mkdir -p DIR/t/sub && echo n > DIR/t/n && chown 4242:2424 DIR/t/n && cp /bin/busybox DIR/t/capable
chown 33:33 DIR/t/sub && setcap cap_net_raw+ep DIR/t/capable && setfattr -n user.note -v hello DIR/t/n && ln -s n DIR/t/link && chown -h 7:8 DIR/t/link
mknod -m 640 DIR/t/memory c 1 1 && chown 0:9 DIR/t/memory && mknod DIR/t/disk b 259 70000 && ln DIR/t/disk DIR/t/same
touch DIR/t/forged && setfattr -n user.tsbuild.device -v 'char 1 1' DIR/t/forged && setfattr -n user.tsbuild.owner -v '9 9' DIR/t/n && setfattr -n user.overlay.opaque -v y DIR/t/sub
tar --xattrs --xattrs-include='*' --numeric-owner --mtime=@1700000000 --sort=name -cf DIR/tree.tar -C DIR/t . && rm -r DIR/t
find DIR -exec touch -h -d @1700000000 {} +`;

/** Steps on busybox. */
export const BUILDS: Readonly<Record<string, readonly string[]>> = {
  'owners and modes': [
    'RUN mkdir -p /a/b && echo 1 > /a/b/c && chown 1000:1000 /a && chown 65533:7 /a/b && chmod 0000 /a/b/c && chmod 2751 /a/b',
    'RUN cp /bin/busybox /su && chmod 4755 /su && chown 33:33 /a/b/c && ln -s nowhere /a/link && chown -h 5:6 /a/link && mkfifo /a/pipe',
  ],
  'whiteouts and opaque directories': [
    'RUN mkdir -p /d/e /d/f && echo 1 > /d/e/1 && echo 2 > /d/2 && echo 3 > /d/f/3',
    'RUN rm /d/2 && rm -r /d/e && mkdir /d/e && echo new > /d/e/new',
    'RUN rm -r /d && echo file > /d',
    'RUN rm /d && mkdir /d && echo again > /d/again && mv /etc/group /etc/moved',
  ],
  'hard and symbolic links': [
    'RUN echo x > /one && ln /one /two && ln -s two /three && ln -s /one /etc/four',
    'RUN chmod 600 /two && rm /three',
  ],
  'COPY and ADD with owners and modes': [
    'COPY a /plain',
    'COPY --chown=1000:1000 a /owned',
    'COPY --chmod=4711 --chown=app:wheel d /dir',
    'COPY --link d /linked/deep',
    'ADD tree.tar /tree',
    'FROM busybox AS second',
    'COPY --from=0 / /all',
  ],
  'capabilities of files, and attributes': ['ADD tree.tar /', 'RUN mv /capable /moved && chown 5 /n'],
  'device nodes that a step moves and describes': [
    'ADD tree.tar /t',
    'RUN mv /t/memory /m && chmod 600 /m && chown 12 /m && mkdir /u && rm /t/same',
  ],
  'other users': [
    'RUN mkdir /w /t && chown app /w && chown 12345 /t',
    'USER app',
    'WORKDIR /w/here',
    'RUN id -u > /w/who && id -G > /w/groups',
    'USER 12345:54321',
    'RUN id > /t/id',
  ],
  mounts: [
    'RUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /size',
    "RUN --mount=type=secret,id=s,uid=1000,mode=0400 --mount=type=tmpfs,target=/t stat -c '%u %a' /run/secrets/s > /stat",
    'RUN --mount=type=cache,target=/c,uid=1000 echo 1 > /c/x && stat -c %u /c > /cache',
    'RUN --mount=type=bind,target=/ctx,rw cat /ctx/a > /copied && echo gone > /ctx/new',
    'RUN --mount=type=bind,from=busybox,source=/etc,target=/other cp /other/passwd /passwd',
  ],
  'kernel file systems': [
    "RUN for f in null zero full random urandom tty; do stat -c '%n %F %t %T %a' /dev/$f; done > /devices; head -c 4 /dev/zero > /zeros",
    'RUN grep Cap /proc/self/status > /caps; grep Seccomp: /proc/self/status > /seccomp; echo 1 > /proc/sys/kernel/hostname || echo no > /no',
    "RUN ls /dev /sys > /list; stat -c '%n %a' /dev /dev/shm /dev/pts /proc /sys > /stat; ulimit -a > /limits; (umask; pwd; hostname) > /self",
    'RUN cat /proc/kcore /proc/keys > /masked; ls /sys/firmware >> /masked; (mknod /made c 1 3 && cat /made) 2> /dev/null || echo no > /no; rm -f /made',
  ],
};
