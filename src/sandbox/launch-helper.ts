/**
 * Entry of the helper process (see launch-by-helper.ts), in two acts:
 *
 * Both have tsbuild's PID as their argument: who looks at the list of processes sees whose they are.
 *
 *   outer   takes on a new PID namespace for its children, starts itself again in it, tells tsbuild the child's PID, waits
 *   inner   is PID 1 there: leaves the other namespaces, walks the program, and executes PID 1 proper in its own place
 *
 * Where the program wants no PID namespace there is only the second act.
 *
 * Descriptors: 0-2 the step's, 3 the program, 4 the socket to tsbuild, 5 the file of PID 1, 6 the network namespace,
 * 7 a socket that takes the terminal.
 */
import { spawn } from 'node:child_process';
import { fstatSync, readSync, writeSync } from 'node:fs';
import { dieWithParent, unshare } from '../sys/process.ts';
import { walkProgram } from '../sys/syscall-program-walk.ts';
import { type ContainerProgram, hasPidNamespace } from './container-program.ts';
import { encodeChild, encodeFailure } from './status-message.ts';

const PROGRAM_FD = 3;
const STATUS_FD = 4;
const INPUTS: ReadonlyMap<string, number> = new Map([
  ['stdin', 0],
  ['stdout', 1],
  ['stderr', 2],
  ['status', STATUS_FD],
  ['init', 5],
  ['netns', 6],
  ['terminal', 7],
]);
const CLONE_NEWPID = 0x20000000;
/** The index of a failure that no operation of the program stands for: unshare itself. */
const UNSHARE_FAILED = -1;

dieWithParent();
const program = readProgram();
// A tsbuild that ended before it was watched sends no signal: then there is nothing to do. PID 1 proper asks again before its exec.
if (process.argv[2] === 'inner') inner(program);
else if (process.ppid === Number(process.argv[3])) start(program);

function start(program: ContainerProgram): void {
  if (hasPidNamespace(program)) outer();
  else inner(program);
}

function outer(): void {
  const errno = unshare(CLONE_NEWPID);
  if (errno !== 0) {
    fail(UNSHARE_FAILED, errno);
    return;
  }
  const script = process.argv[1] ?? '';
  const args = [script, 'inner', process.argv[3] ?? ''];
  const child = spawn(process.execPath, args, { stdio: ['inherit', 'inherit', 'inherit', 3, 4, 5, 6, 7], env: {}, cwd: '/' });
  child.once('error', (error: NodeJS.ErrnoException) => fail(UNSHARE_FAILED, Math.abs(error.errno ?? 1)));
  if (child.pid !== undefined) writeSync(STATUS_FD, encodeChild(child.pid));
}

function inner({ namespaces, operations }: ContainerProgram): void {
  const others = namespaces & ~CLONE_NEWPID;
  // Some profiles refuse the call whatever its flags.
  const errno = others === 0 ? 0 : unshare(others);
  const failed = errno === 0 ? walkProgram(operations, INPUTS) : { index: UNSHARE_FAILED, errno };
  if (failed !== undefined) fail(failed.index, failed.errno);
}

/** tsbuild kills the container when it reads this. */
function fail(index: number, errno: number): void {
  writeSync(STATUS_FD, encodeFailure(index, errno));
  process.exitCode = 127;
}

function readProgram(): ContainerProgram {
  const bytes = Buffer.alloc(fstatSync(PROGRAM_FD).size);
  readSync(PROGRAM_FD, bytes, 0, bytes.length, 0);
  return JSON.parse(bytes.toString('utf8')) as ContainerProgram;
}
