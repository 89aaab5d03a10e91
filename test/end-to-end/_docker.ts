/** A Docker daemon of the test's own: another directory and socket, no bridge, no rules of a packet filter. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from './_world.ts';

const START_MS = 30_000;
const POLL_MS = 100;

export interface DockerDaemon extends AsyncDisposable {
  readonly program: string;
  /** For its client, and for others that look for the daemon. */
  readonly env: { readonly PATH: string | undefined; readonly HOME: string; readonly DOCKER_HOST: string };
}

/** Its files lie in `directory`, which the caller removes when the daemon has ended. */
export async function startDocker(directory: string): Promise<DockerDaemon> {
  const socket = `unix://${directory}/docker.sock`;
  const place = (name: string): string => path.join(directory, 'docker', name);
  const args = ['--data-root', place('data'), '--exec-root', place('exec'), '--pidfile', place('pid'), '--host', socket];
  mkdirSync(path.join(directory, 'docker'));
  const own = ['--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs'];
  const daemon = spawn('dockerd', [...args, ...own], { stdio: 'ignore' });
  const end = new Promise((resolve) => daemon.once('exit', resolve));
  const env = { PATH: process.env['PATH'], HOME: directory, DOCKER_HOST: socket };
  const stop = async (): Promise<void> => {
    daemon.kill();
    await end;
  };
  for (let waited = 0; waited < START_MS && daemon.exitCode === null; waited += POLL_MS) {
    const { code } = await runCommand('docker', ['version'], { env });
    if (code === 0) return { program: 'docker', env, [Symbol.asyncDispose]: stop };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await stop();
  throw new Error('dockerd does not answer');
}
