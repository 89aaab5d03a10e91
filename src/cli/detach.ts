/** A container in the background: this same command line once more, in a session of its own, which outlives the caller's. */
import { spawn } from 'node:child_process';
import { printResult, type Terminal } from './terminal.ts';

const MARK = 'TSBUILD_IN_BACKGROUND';

/** Whether this process is the one that stays. */
export function isBackground(): boolean {
  return process.env[MARK] === '1';
}

/** Prints the id when the container's command runs, and lets go; otherwise shows what is wrong and returns its exit code. */
export async function startInBackground(terminal: Terminal): Promise<number> {
  const [, script = '', ...args] = process.argv;
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MARK]: '1' },
  });
  const onAbort = (): boolean => child.kill('SIGTERM');
  terminal.signal.addEventListener('abort', onAbort, { once: true });
  child.stderr.on('data', (data: Buffer) => terminal.screen.stream.write(data));
  const outcome = await new Promise<{ id: string } | { code: number }>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      if (text.includes('\n')) resolve({ id: text.trimEnd() });
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1 }));
  });
  terminal.signal.removeEventListener('abort', onAbort);
  if ('code' in outcome) return outcome.code;
  child.unref();
  child.stdout.destroy();
  child.stderr.destroy();
  printResult(terminal, outcome.id);
  return 0;
}
