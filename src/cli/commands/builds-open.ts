import { spawn } from 'node:child_process';
import { buildPage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { textFlag } from '../text-flag.ts';

/** `tsbuild builds open [ID]`: prints the path of the page; a browser opens it where somebody sits before a screen. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const { path } = await buildPage({ root: flags.root, id: operands[0], output: textFlag(flags.output), signal: terminal.signal });
  printResult(terminal, path);
  const { DISPLAY: x11, WAYLAND_DISPLAY: wayland } = terminal.env;
  if (terminal.stdout.isTTY === true && (x11 || wayland)) openBrowser(path);
  return 0;
}

/** It outlives us; where there is none, the path has been printed. */
function openBrowser(path: string): void {
  const child = spawn('xdg-open', [path], { detached: true, stdio: 'ignore' });
  child.on('error', () => {});
  child.unref();
}
