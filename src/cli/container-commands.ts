/** `run` and the commands for containers that run, or ran, in the background. */
import type { CommandSpec, FlagSpec } from './command-table.ts';
import { dnsFlags } from './dns-flags.ts';

export interface ContainerFlags {
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly name?: string;
  readonly hostname?: string;
  readonly rm?: boolean;
  readonly volume?: readonly string[];
  readonly device?: readonly string[];
  readonly mount?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly readOnly?: boolean;
  readonly publish?: readonly string[];
  readonly publishAll?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly securityOpt?: readonly string[];
  readonly privileged?: boolean;
  readonly runtime?: string;
  readonly bundle?: string;
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly time?: string;
  readonly signal?: string;
  readonly force?: boolean;
}

const RUN: readonly FlagSpec[] = [
  { flags: '-i, --interactive', description: 'pass standard input on to the command' },
  { flags: '-t, --tty', description: 'give the command a terminal' },
  { flags: '-d, --detach', description: 'run in the background and print the id' },
  { flags: '--name <name>', description: 'name of the container' },
  { flags: '--rm', description: 'remove record and log at the end of a container in the background; others never stay' },
  { flags: '-e, --env <key=value>', description: 'set a variable; KEY alone takes the value of the environment', kind: 'repeatable' },
  { flags: '--env-file <file>', description: 'set variables from KEY=VALUE lines; --env wins', kind: 'repeatable' },
  { flags: '-u, --user <name|id>', description: 'user, with :group if wanted' },
  { flags: '-w, --workdir <dir>', description: 'working directory' },
  { flags: '--entrypoint <command>', description: 'run this instead of the entrypoint of the image' },
  {
    ...{ flags: '--device <path[:target]>', description: 'a device of this machine; or by name, such as vendor.com/class=name' },
    kind: 'repeatable',
  },
  { flags: '-v, --volume <source:target>', description: 'mount a file or directory of this machine; :ro at its end', kind: 'repeatable' },
  { flags: '--mount <fields>', description: 'the same as type=bind,src=,dst=[,ro], or type=tmpfs,dst=', kind: 'repeatable' },
  { flags: '--tmpfs <path>', description: 'mount an empty tmpfs; :size=64m,mode=1777,exec at its end', kind: 'repeatable' },
  { flags: '--read-only', description: 'no writing to the root file system' },
  { flags: '--network <mode>', description: 'private, none, host or container:NAME' },
  {
    flags: '-p, --publish <port>',
    description: 'lead HOST:CONTAINER ports into the container; also IP:HOST:CONTAINER/udp',
    kind: 'repeatable',
  },
  { flags: '-P, --publish-all', description: 'publish every port that the image exposes' },
  { flags: '--add-host <name:address>', description: 'add a line to /etc/hosts', kind: 'repeatable' },
  ...dnsFlags('the container'),
  { flags: '--hostname <name>', description: 'name of the host inside' },
  { flags: '--cap-add <name>', description: 'give a capability; ALL is every one', kind: 'repeatable' },
  { flags: '--cap-drop <name>', description: 'take a capability; ALL is every one', kind: 'repeatable' },
  { flags: '--security-opt <option>', description: 'no-new-privileges, or seccomp=unconfined', kind: 'repeatable' },
  { flags: '--privileged', description: 'with all that tsbuild may do itself' },
  { flags: '--runtime <program>', description: 'let an OCI runtime such as runc or crun make the container' },
  { flags: '--bundle <dir>', description: 'run nothing: write the container there for an OCI runtime, as rootfs and config.json' },
  { flags: '--platform <platform>', description: 'platform of the image, such as linux/arm64' },
  { flags: '--pull <policy>', description: 'ask the registry for the image', choices: ['missing', 'always', 'never'] },
  { flags: '--init', description: 'accepted for compatibility: a container always has an init', kind: 'hidden' },
];

/** `shared`: flags that `build` has, too, in the words of `run`. */
export function containerCommands(root: FlagSpec, shared: readonly FlagSpec[]): readonly CommandSpec[] {
  return [
    {
      ...{ name: 'run', summary: 'run a command in a fresh container of an image', operands: '<image> [command...]' },
      flagsEnd: 'first-operand',
      flags: [...RUN, ...shared, root],
      load: () => import('./commands/run.ts'),
    },
    {
      ...{ name: 'ps', summary: 'list the containers that run', operands: '' },
      flags: [
        { flags: '-a, --all', description: 'those that have ended, too' },
        { flags: '-q, --quiet', description: 'show ids only' },
        { flags: '--format <format>', description: 'how to list them', choices: ['table', 'json'] },
        root,
      ],
      load: () => import('./commands/ps.ts'),
    },
    {
      ...{ name: 'logs', summary: 'show what a container in the background wrote', operands: '<container>' },
      flags: [
        { flags: '-f, --follow', description: 'go on until it ends' },
        { flags: '-n, --tail <lines>', description: 'so many lines of its end only' },
        { flags: '-t, --timestamps', description: 'when each line came' },
        root,
      ],
      load: () => import('./commands/logs.ts'),
    },
    {
      ...{ name: 'stop', summary: 'ask containers to end, and kill those that do not', operands: '<container...>' },
      flags: [{ flags: '-t, --time <seconds>', description: 'how long to wait before killing (default: 10)' }, root],
      load: () => import('./commands/stop.ts'),
    },
    {
      ...{ name: 'kill', summary: 'send a signal to containers', operands: '<container...>' },
      flags: [{ flags: '-s, --signal <name>', description: 'the signal (default: KILL)' }, root],
      load: () => import('./commands/kill.ts'),
    },
    {
      ...{ name: 'rm', summary: 'remove record and log of containers', operands: '<container...>' },
      flags: [{ flags: '-f, --force', description: 'kill those that run' }, root],
      load: () => import('./commands/rm.ts'),
    },
    {
      ...{ name: 'wait', summary: 'wait until containers end, and print their exit codes', operands: '<container...>', flags: [root] },
      load: () => import('./commands/wait.ts'),
    },
    {
      ...{ name: 'port', summary: 'show the published ports of a container', operands: '<container> [port]', flags: [root] },
      load: () => import('./commands/port.ts'),
    },
  ];
}
