/**
 * The typed instructions of a Dockerfile. Source: Dockerfile reference; later stages never look at text again.
 * Nothing is expanded here: a `Word` goes through `expandWord` (expand.ts) where the language says so.
 */
import type { SourceRange } from '../errors.ts';

/** Raw text with its quotes, escapes and variables; `expandWord` takes them away. */
export type Word = string;

export type Instruction =
  | FromInstruction
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | WorkdirInstruction
  | UserInstruction
  | CmdInstruction
  | EntrypointInstruction
  | ExposeInstruction
  | VolumeInstruction
  | StopsignalInstruction
  | ShellInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

export type InstructionKind = Instruction['kind'];

/** A parsed Dockerfile. At least one instruction, and at least one FROM. */
export interface Dockerfile {
  /** Name for messages only; the parser reads no file. */
  readonly file: string;
  /** The whole text, for excerpts. */
  readonly text: string;
  readonly directives: readonly Directive[];
  readonly escape: Escape;
  readonly instructions: readonly Instruction[];
  readonly warnings: readonly ParseWarning[];
}

export type Escape = '\\' | '`';

/** A parser directive, such as `# escape=\``. Names are lower-case. */
export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: string;
  readonly line: number;
}

export interface ParseWarning {
  /** The lint rule that shows it (`lint/rules.ts`), if it can be switched off by one. */
  readonly rule?: string;
  readonly message: string;
  readonly range: SourceRange;
}

interface InstructionBase {
  /** From the keyword to the end of the last line, heredoc bodies included. */
  readonly range: SourceRange;
  /** Continuations joined, comments and heredoc bodies left out: for labels and history. */
  readonly text: string;
}

/** A here-document of RUN, COPY, ADD or of an ONBUILD of them. */
export interface Heredoc {
  /** Delimiter without quotes. */
  readonly name: string;
  /** 0 where none was written. */
  readonly fd: number;
  /** Every line with its line break, as written (leading tabs too, even for `<<-`). */
  readonly body: string;
  /** `<<-`: leading tabs are to be stripped; `heredocContent` does it. */
  readonly chomp: boolean;
  /** The delimiter had no quotes: COPY and ADD expand variables in the body. */
  readonly expand: boolean;
}

/** CMD, ENTRYPOINT and HEALTHCHECK CMD. `shell` text is passed to the shell unexpanded. */
export type CommandLine = { readonly form: 'shell'; readonly script: string } | { readonly form: 'exec'; readonly argv: readonly string[] };

/** What RUN runs, heredocs resolved. `file`: a sole heredoc that starts with `#!`: a program, which the shell starts. */
export type RunCommand = CommandLine | { readonly form: 'file'; readonly name: string; readonly body: string };

/** A `NAME=value` pair of ENV or LABEL: both sides are words. */
export interface Pair {
  readonly key: Word;
  readonly value: Word;
}

/** One name of an ARG. `value` undefined: no default was given (`ARG X`); `''`: an empty one (`ARG X=`). */
export interface ArgDeclaration {
  readonly key: Word;
  readonly value: Word | undefined;
}

export interface FromInstruction extends InstructionBase {
  readonly kind: 'from';
  /** Image, stage name or `scratch`; expanded with global ARGs. */
  readonly image: Word;
  readonly platform: Word | undefined;
  /** Lower-case stage name. */
  readonly as: string | undefined;
}

export interface ArgInstruction extends InstructionBase {
  readonly kind: 'arg';
  readonly declarations: readonly ArgDeclaration[];
}

export interface EnvInstruction extends InstructionBase {
  readonly kind: 'env';
  readonly pairs: readonly Pair[];
}

export interface LabelInstruction extends InstructionBase {
  readonly kind: 'label';
  readonly pairs: readonly Pair[];
}

export interface RunInstruction extends InstructionBase {
  readonly kind: 'run';
  readonly command: RunCommand;
  readonly heredocs: readonly Heredoc[];
  /** Raw values of `--mount`, in order. */
  readonly mounts: readonly Word[];
  readonly network: string | undefined;
  readonly security: string | undefined;
  readonly devices: readonly string[];
}

/** A source of COPY or ADD: a path (or URL) word, or a heredoc that is the file's content. */
export type CopySource = { readonly kind: 'path'; readonly path: Word } | { readonly kind: 'heredoc'; readonly heredoc: Heredoc };

interface CopyBase extends InstructionBase {
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
  readonly link: boolean;
  /** Never expanded. */
  readonly exclude: readonly string[];
  /** Ours (docs/extensions.md): a path that is missing is left out. */
  readonly ifExists: boolean;
}

export interface CopyInstruction extends CopyBase {
  readonly kind: 'copy';
  /** Stage name, index or image; its variables are expanded while planning. */
  readonly from: Word | undefined;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyBase {
  readonly kind: 'add';
  readonly checksum: Word | undefined;
  readonly keepGitDir: boolean;
  readonly unpack: boolean | undefined;
}

export interface WorkdirInstruction extends InstructionBase {
  readonly kind: 'workdir';
  readonly path: Word;
}

export interface UserInstruction extends InstructionBase {
  readonly kind: 'user';
  readonly user: Word;
}

export interface CmdInstruction extends InstructionBase {
  readonly kind: 'cmd';
  readonly command: CommandLine;
}

export interface EntrypointInstruction extends InstructionBase {
  readonly kind: 'entrypoint';
  readonly command: CommandLine;
}

export interface ExposeInstruction extends InstructionBase {
  readonly kind: 'expose';
  /** Each is expanded with `expandWords`: one word may become several ports. */
  readonly ports: readonly Word[];
}

export interface VolumeInstruction extends InstructionBase {
  readonly kind: 'volume';
  readonly paths: readonly Word[];
}

export interface StopsignalInstruction extends InstructionBase {
  readonly kind: 'stopsignal';
  readonly signal: Word;
}

export interface ShellInstruction extends InstructionBase {
  readonly kind: 'shell';
  readonly argv: readonly string[];
}

export interface HealthcheckInstruction extends InstructionBase {
  readonly kind: 'healthcheck';
  readonly check: HealthcheckNone | HealthcheckCommand;
}

export interface HealthcheckNone {
  readonly type: 'none';
}

/** Durations in nanoseconds, 0 = the default. */
export interface HealthcheckCommand {
  readonly type: 'command';
  readonly command: CommandLine;
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly retries: number;
}

export interface OnbuildInstruction extends InstructionBase {
  readonly kind: 'onbuild';
  /** The trigger as one line of text, heredocs appended. */
  readonly trigger: string;
}

export interface MaintainerInstruction extends InstructionBase {
  readonly kind: 'maintainer';
  readonly name: Word;
}
