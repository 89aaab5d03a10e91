import { TsbuildError } from '../../errors.ts';
import { inspectContainer, type PublishedPort } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild port CONTAINER [PORT[/udp]]`. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = '', wanted] = operands;
  const { ports } = await inspectContainer({ root: flags.root, name });
  if (wanted === undefined) {
    for (const port of ports) printResult(terminal, portText(port).replace(/^(.*)->(.*)$/, '$2 -> $1'));
    return 0;
  }
  const found = ports.filter(({ containerPort, protocol }) => [`${containerPort}/${protocol}`, `${containerPort}`].includes(wanted));
  if (found.length === 0) throw new TsbuildError('USAGE', `Cannot show port ${wanted} of the container ${name}: it is not published`);
  for (const port of found) printResult(terminal, hostText(port));
  return 0;
}

/** `0.0.0.0:8080->80/tcp` */
export function portText(port: PublishedPort): string {
  return `${hostText(port)}->${port.containerPort}/${port.protocol}`;
}

function hostText({ address, hostPort }: PublishedPort): string {
  return `${address.includes(':') ? `[${address}]` : address}:${hostPort}`;
}
