/** What a network leaves on the machine, as the machine's own tools see it. */
import { execFileSync, spawnSync } from 'node:child_process';

/** Names of the interfaces of a process, by default of this one; one that has no owner yet counts as well. */
export function stepLinks(pid = process.pid): string[] {
  const links = JSON.parse(execFileSync('ip', ['-json', 'link'], { encoding: 'utf8' })) as { ifname: string; ifalias?: string }[];
  const ours = links.filter(
    ({ ifname, ifalias }) => ifname.startsWith('tsbuild') && (ifalias ?? `tsbuild process ${pid}`) === `tsbuild process ${pid}`,
  );
  return ours.map(({ ifname }) => ifname);
}

/** Names of the nf_tables tables of a process. */
export function tablesOf(pid: number): string[] {
  const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).trim().split('\n');
  return tables.filter((line) => line.includes(`inet tsbuild-${pid}-`));
}

/** Runs a command in a network of this process; both outputs in one. */
export function runIn(netnsFd: number, ...command: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('nsenter', [`--net=/proc/${process.pid}/fd/${netnsFd}`, ...command], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, output: `${stdout}${stderr}` };
}

/** Waits until `done`, for at most `limitMs`; returns how long it took. */
export async function until(done: () => boolean, limitMs: number): Promise<number> {
  const start = performance.now();
  while (!done()) {
    const passed = performance.now() - start;
    if (passed > limitMs) throw new Error(`Not so within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - start;
}
