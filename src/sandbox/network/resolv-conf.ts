/** The /etc/resolv.conf of a step, from the machine's (resolv.conf(5)). */
import { isIP } from 'node:net';

export interface ResolvConf {
  readonly text: string;
  /** What a step can ask, in order. */
  readonly nameServers: readonly string[];
  /** Why there are fewer than the machine has; a sentence for a warning, set when there is none left. */
  readonly note?: string;
}

/**
 * Keeps `search`, `options` and the rest of the lines. Name servers on the machine's loopback are dropped: a step has a
 * loopback of its own. So are those on IPv6, which a step does not have. Where the machine asks systemd-resolved
 * (127.0.0.53 and nothing else), `systemdText`, which lists the real ones, takes the place of `hostText`. When nothing is
 * left, nothing is put in: public servers would see names that they should not.
 */
export function resolvConf(hostText: string, systemdText: string | undefined): ResolvConf {
  const stub = serversOf(hostText).every((server) => server === '127.0.0.53') && serversOf(hostText).length > 0;
  const source = stub && systemdText !== undefined ? systemdText : hostText;
  const kept = linesOf(source).filter((line) => serverOf(line) === undefined || reachable(serverOf(line) ?? ''));
  const nameServers = kept.flatMap((line) => serverOf(line) ?? []);
  const text = kept.length === 0 ? '' : `${kept.join('\n')}\n`;
  if (nameServers.length > 0) return { text, nameServers };
  const had = serversOf(hostText);
  const reason = had.length === 0 ? 'the machine names none' : `a step cannot reach ${had.join(', ')}`;
  return { text, nameServers, note: `Steps have no name server: ${reason}` };
}

/** The machine's file with one name server in the place of all. */
export function resolvConfOf(hostText: string, nameServer: string): ResolvConf {
  const others = linesOf(hostText).filter((line) => serverOf(line) === undefined);
  return { text: `${[`nameserver ${nameServer}`, ...others].join('\n')}\n`, nameServers: [nameServer] };
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trimEnd());
  return lines.filter((line) => line !== '' && !/^\s*[#;]/.test(line));
}

function serversOf(text: string): string[] {
  return linesOf(text).flatMap((line) => serverOf(line) ?? []);
}

function serverOf(line: string): string | undefined {
  return /^nameserver[ \t]+(\S+)/.exec(line)?.[1];
}

function reachable(server: string): boolean {
  return isIP(server) === 4 && !server.startsWith('127.') && !/^0\./.test(server);
}
