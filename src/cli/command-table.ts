/** Every command with its flags, as docker spells them. A command's code is loaded when it runs. */

import type { Isolation, SnapshotterChoice, UserNamespaceChoice } from '../index.ts';
import { PROGRESS_MODES, type ProgressMode } from '../progress/renderer.ts';
import { type BuildsFlags, buildsCommands } from './builds-commands.ts';
import { type ContainerFlags, containerCommands } from './container-commands.ts';
import { type DnsFlags, dnsFlags } from './dns-flags.ts';
import { type ManifestFlags, manifestCommands } from './manifest-commands.ts';
import { type ResourceFlags, resourceFlags } from './resource-flags.ts';
import { RETRY_FLAGS } from './retry-flags.ts';
import { type StorageFlags, storageCommands } from './storage-commands.ts';
import type { Terminal } from './terminal.ts';

export interface Invocation {
  readonly operands: readonly string[];
  readonly flags: Flags;
  readonly terminal: Terminal;
}

/** Flags of all commands, in commander's camel case; each command has its part of them. */
export interface Flags extends ResourceFlags, DnsFlags, ContainerFlags, ManifestFlags, BuildsFlags, StorageFlags {
  readonly root?: string;
  readonly progress?: ProgressMode;
  readonly quiet?: boolean;
  readonly tag?: readonly string[];
  /** A list for manifest create, one for others. */
  readonly file?: string | readonly string[];
  readonly target?: string;
  /** A list for build, one for pull. */
  readonly platform?: string | readonly string[];
  readonly buildArg?: readonly string[];
  readonly buildArgFile?: readonly string[];
  readonly buildContext?: readonly string[];
  readonly call?: string;
  readonly check?: boolean;
  readonly label?: readonly string[];
  readonly annotation?: readonly string[];
  readonly attest?: readonly string[];
  readonly provenance?: readonly string[];
  readonly sbom?: readonly string[];
  readonly signBy?: string;
  readonly key?: string;
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly allow?: readonly string[];
  readonly addHost?: readonly string[];
  /** false where `--no-cache` is given. */
  readonly cache?: boolean;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly noCacheFilter?: readonly string[];
  readonly explain?: boolean;
  /** true or false for build, a policy for run. */
  readonly pull?: boolean | string;
  readonly push?: boolean;
  readonly load?: boolean;
  readonly iidfile?: string;
  readonly digestfile?: string;
  readonly metadataFile?: string;
  readonly network?: string;
  readonly jobs?: string;
  readonly snapshotter?: SnapshotterChoice;
  readonly userns?: UserNamespaceChoice;
  readonly isolation?: Isolation;
  readonly timeout?: string;
  readonly stepTimeout?: string;
  readonly retry?: string;
  readonly retryDelay?: string;
  readonly all?: boolean;
  /** A list for build, one for save. */
  readonly output?: string | readonly string[];
  readonly username?: string;
  readonly passwordStdin?: boolean;
  readonly format?: string;
}

export interface FlagSpec {
  readonly flags: string;
  readonly description: string;
  readonly kind?: 'repeatable' | 'hidden';
  readonly choices?: readonly string[];
}

export interface CommandSpec {
  /** Two words: the command of a group. */
  readonly name: string;
  readonly summary: string;
  /** As in usage: `<name>`, `[name]`, `[name...]`. */
  readonly operands: string;
  readonly flags: readonly FlagSpec[];
  /** Flags after the first operand belong to the command that is run. */
  readonly flagsEnd?: 'first-operand';
  load(): Promise<{ run(invocation: Invocation): Promise<number> }>;
}

const ROOT: FlagSpec = { flags: '--root <dir>', description: 'state directory (TSBUILD_ROOT)' };
const SNAPSHOTTER: FlagSpec = {
  ...{ flags: '--snapshotter <kind>', description: 'how each RUN gets its files (TSBUILD_SNAPSHOTTER)' },
  choices: ['auto', 'overlay', 'copy'],
};
const USERNS: FlagSpec = {
  ...{
    flags: '--userns <mode>',
    description: 'as root: whose root the root of steps is: nobody (auto), or the machine (host); TSBUILD_USERNS',
  },
  choices: ['auto', 'host'],
};
const ISOLATION: FlagSpec = {
  ...{
    flags: '--isolation <kind>',
    description: 'how each RUN is isolated; chroot is for containers that allow no more (TSBUILD_ISOLATION)',
  },
  choices: ['default', 'chroot'],
};
const PROGRESS: readonly FlagSpec[] = [
  { flags: '--progress <mode>', description: 'how to show progress', choices: PROGRESS_MODES },
  { flags: '-q, --quiet', description: 'show errors only' },
  ROOT,
];

const SIGN_BY: FlagSpec = { flags: '--sign-by <key>', description: 'sign what is pushed with this private key: a file, or env://NAME' };

/** What commands of two words have in common, for the help. */
export const GROUPS: Readonly<Record<string, string>> = {
  manifest: 'make, show and push indexes of images',
  builds: 'what is remembered of builds: steps, times, logs, and a page that shows them',
};

export const COMMANDS: readonly CommandSpec[] = [
  {
    ...{ name: 'build', summary: 'build an image from a Dockerfile (the default command)', operands: '<context>' },
    flags: [
      { flags: '-t, --tag <name>', description: 'name of the image, such as app:1', kind: 'repeatable' },
      { flags: '-f, --file <path>', description: 'the Dockerfile (default: CONTEXT/Dockerfile); - is standard input' },
      { flags: '--target <stage>', description: 'stop at this stage' },
      { flags: '--platform <list>', description: 'platforms to build for, such as linux/amd64,linux/arm64', kind: 'repeatable' },
      { flags: '--build-arg <key=value>', description: 'set an ARG; KEY alone takes the value of the environment', kind: 'repeatable' },
      { flags: '--build-arg-file <file>', description: 'set ARGs from KEY=VALUE lines; --build-arg wins', kind: 'repeatable' },
      { flags: '--build-context <name=place>', description: 'a context by name: directory, address or image', kind: 'repeatable' },
      { flags: '--check', description: 'look for mistakes in the Dockerfile, and build nothing' },
      { flags: '--call <method>', description: 'build, check, outline or targets; with ,format=json for programs' },
      { flags: '--label <key=value>', description: 'set a label of the image', kind: 'repeatable' },
      { flags: '--secret <id=name,...>', description: 'secret for RUN --mount=type=secret, with src=FILE or env=NAME', kind: 'repeatable' },
      {
        flags: '--ssh <id=path,...>',
        description: 'SSH agent or keys for RUN --mount=type=ssh; default is the agent of the session',
        kind: 'repeatable',
      },
      {
        flags: '--allow <what>',
        description: 'let RUN ask for network.host, security.insecure, device or device=NAME',
        kind: 'repeatable',
      },
      { flags: '--add-host <name:address>', description: 'add a line to /etc/hosts of every RUN', kind: 'repeatable' },
      ...dnsFlags('every RUN'),
      { flags: '--no-cache', description: 'run every step' },
      { flags: '--no-cache-filter <stage,...>', description: 'run every step of these stages', kind: 'repeatable' },
      {
        flags: '--cache-from <type=...>',
        description: 'use a remote cache: registry, local, s3 or gha; a name alone is registry',
        kind: 'repeatable',
      },
      {
        flags: '--cache-to <type=...>',
        description: 'write a remote cache: registry, inline, local, s3 or gha, with mode=max for all stages and more',
        kind: 'repeatable',
      },
      { flags: '--explain', description: 'say of each step that is not in the cache why' },
      { flags: '--pull', description: 'ask the registry for newer base images' },
      {
        flags: '-o, --output <type=...>',
        description:
          'what to make: image, registry, oci, docker, local, tar or cacheonly, with dest=FILE and more; DIR alone is local, - a tar',
        kind: 'repeatable',
      },
      {
        flags: '--annotation <key=value>',
        description:
          'annotate the image; before the key: manifest, index, manifest-descriptor, index-descriptor with [PLATFORM], and a colon',
        kind: 'repeatable',
      },
      {
        flags: '--attest <type=...>',
        description: 'attest to the image: type=provenance,mode=min|max or type=sbom; what is attested lies beside it in an index',
        kind: 'repeatable',
      },
      { flags: '--provenance <true|mode=...>', description: 'how the image was made: --attest type=provenance', kind: 'repeatable' },
      { flags: '--sbom <true>', description: 'which packages are in it: --attest type=sbom', kind: 'repeatable' },
      { flags: '--load', description: 'load the image into Docker: --output type=docker' },
      { flags: '--push', description: 'push every tag: --output type=registry' },
      SIGN_BY,
      { flags: '--iidfile <file>', description: 'write the digest of the config to a file' },
      { flags: '--digestfile <file>', description: 'write the digest of the image to a file' },
      { flags: '--metadata-file <file>', description: 'write what is known of the result to a file, as JSON' },
      { flags: '--network <mode>', description: 'network of every RUN', choices: ['default', 'none', 'host'] },
      { flags: '--jobs <number>', description: 'most steps at once (default: number of cores); 1 for one stage after the other' },
      SNAPSHOTTER,
      USERNS,
      ISOLATION,
      { flags: '--timeout <time>', description: 'most time for the build, such as 30m; then its steps are stopped' },
      { flags: '--step-timeout <time>', description: 'most time for each RUN, such as 90s' },
      ...resourceFlags('every RUN'),
      { flags: '--resource <name=value,...>', description: 'the same limits by the names of buildx', kind: 'repeatable' },
      ...RETRY_FLAGS,
      ...PROGRESS,
    ],
    load: () => import('./commands/build.ts'),
  },
  {
    ...{ name: 'context', summary: 'show what the build context holds, and what the ignore file keeps out of it', operands: '<context>' },
    flags: [
      { flags: '-f, --file <path>', description: 'the Dockerfile, whose own ignore file counts (default: CONTEXT/Dockerfile)' },
      { flags: '--all', description: 'every file, and not only the biggest' },
      { flags: '--format <format>', description: 'how to show it', choices: ['table', 'json'] },
    ],
    load: () => import('./commands/context.ts'),
  },
  {
    ...{ name: 'images', summary: 'list the images of the local store', operands: '' },
    flags: [
      { flags: '--format <format>', description: 'how to list them', choices: ['table', 'json'] },
      { flags: '-q, --quiet', description: 'show digests only' },
      ROOT,
    ],
    load: () => import('./commands/images.ts'),
  },
  {
    ...{ name: 'inspect', summary: 'show manifest and config of an image as JSON', operands: '<image>', flags: [ROOT] },
    load: () => import('./commands/inspect.ts'),
  },
  {
    ...{ name: 'attestations', summary: 'show what is attested of an image: how it was made, what is in it', operands: '<image>' },
    flags: [
      { flags: '--format <format>', description: 'json, {{json .Provenance}} or {{json .SBOM}}' },
      { flags: '--platform <platform>', description: 'of this platform alone' },
      ROOT,
    ],
    load: () => import('./commands/attestations.ts'),
  },
  {
    ...{ name: 'sign', summary: 'sign an image, and put the signature beside it in its repository', operands: '<image>' },
    flags: [
      { flags: '--key <key>', description: 'private key in PEM: a file, or env://NAME; COSIGN_PASSWORD is its passphrase' },
      ...PROGRESS,
    ],
    load: () => import('./commands/sign.ts'),
  },
  {
    ...{ name: 'verify', summary: 'tell whether an image in its registry is signed by a key', operands: '<image>' },
    flags: [
      { flags: '--key <key>', description: 'public key in PEM: a file, or env://NAME' },
      { flags: '--format <format>', description: 'what to print: its digest, or all signatures', choices: ['digest', 'json'] },
      ROOT,
    ],
    load: () => import('./commands/verify.ts'),
  },
  {
    ...{ name: 'tag', summary: 'give an image another name', operands: '<source> <target>', flags: [ROOT] },
    load: () => import('./commands/tag.ts'),
  },
  {
    ...{ name: 'rmi', summary: 'remove image names, and what no name needs', operands: '<image...>', flags: [ROOT] },
    load: () => import('./commands/rmi.ts'),
  },
  {
    ...{ name: 'pull', summary: 'fetch an image from a registry', operands: '<image>' },
    flags: [
      { flags: '--platform <platform>', description: 'fetch it for this platform, such as linux/arm64' },
      ...RETRY_FLAGS,
      ...PROGRESS,
    ],
    load: () => import('./commands/pull.ts'),
  },
  {
    ...{ name: 'push', summary: 'send an image to its registry', operands: '<image>', flags: [SIGN_BY, ...RETRY_FLAGS, ...PROGRESS] },
    load: () => import('./commands/push.ts'),
  },
  {
    ...{ name: 'save', summary: 'write an image as an OCI archive', operands: '<image>' },
    flags: [{ flags: '-o, --output <file>', description: 'file to write (default: standard output)' }, ...PROGRESS],
    load: () => import('./commands/save.ts'),
  },
  {
    ...{ name: 'import', summary: 'make an image of a root file system (tar; - is standard input)', operands: '<file> <image>' },
    flags: PROGRESS,
    load: () => import('./commands/import.ts'),
  },
  {
    ...{
      name: 'login',
      summary: 'check credentials with a registry (default: Docker Hub) and keep them as docker does',
      operands: '[registry]',
    },
    flags: [
      { flags: '-u, --username <name>', description: 'user name; asked for on a terminal' },
      { flags: '--password-stdin', description: 'read the password from standard input, to its end' },
    ],
    load: () => import('./commands/login.ts'),
  },
  {
    ...{ name: 'logout', summary: 'remove the credentials for a registry (default: Docker Hub)', operands: '[registry]', flags: [] },
    load: () => import('./commands/logout.ts'),
  },
  ...storageCommands(ROOT),
  ...manifestCommands(ROOT, [...RETRY_FLAGS, ...PROGRESS]),
  ...buildsCommands(ROOT),
  ...containerCommands(ROOT, [USERNS, ...resourceFlags('the container')]),
  {
    name: 'unshare',
    summary: 'run a command as root of your user namespace, where the files of your images are yours: unshare rm -rf <state directory>',
    operands: '<command...>',
    flags: [],
    flagsEnd: 'first-operand',
    load: () => import('./commands/unshare.ts'),
  },
  {
    ...{ name: 'doctor', summary: 'tell what this machine offers for builds, what is missing and what to do', operands: '' },
    flags: [{ flags: '--format <format>', description: 'how to tell it', choices: ['table', 'json'] }, ROOT],
    load: () => import('./commands/doctor.ts'),
  },
  {
    ...{ name: 'version', summary: 'show the versions of tsbuild and Node', operands: '', flags: [] },
    load: () => import('./commands/version.ts'),
  },
];
