/** The ports of EXPOSE in their normal form. Source: Dockerfile reference "EXPOSE"; Docker's port syntax. */
import { TsbuildError } from '../../errors.ts';

const PORT_MAX = 65_535;
const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp']);

/** `80`, `8000-8002/UDP` → `80/tcp`, `8000/udp`, `8001/udp`, `8002/udp`; of `ip:host:container` only the last part counts. In order. */
export function exposedPorts(ports: readonly string[]): string[] {
  return ports.flatMap(portsOf);
}

function portsOf(text: string): string[] {
  const [range = '', protocol = 'tcp', ...more] = text.split('/');
  const lower = protocol.toLowerCase();
  const match = /^(?:.*:)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  if (match === null || more.length > 0) throw invalid(text, 'not port[-port][/protocol]');
  if (!PROTOCOLS.has(lower)) throw invalid(text, `${JSON.stringify(protocol.slice(0, 80))} is not tcp, udp or sctp`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > last) throw invalid(text, 'the range ends before it begins');
  if (last > PORT_MAX) throw invalid(text, `the highest port is ${PORT_MAX}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${lower}`);
}

function invalid(text: string, reason: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot expose ${JSON.stringify(text.slice(0, 80))}: ${reason}`, {
    hint: 'Write ports as 80, 53/udp or 8000-8010/tcp.',
  });
}
