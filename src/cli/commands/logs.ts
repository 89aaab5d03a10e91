import { TsbuildError } from '../../errors.ts';
import { containerLogs, type LogEntry } from '../../index.ts';
import type { Invocation } from '../command-table.ts';

type Stream = LogEntry['stream'];

/** `tsbuild logs CONTAINER`: its standard output on ours, its standard error on ours. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const tail = tailOf(flags.tail);
  const write = (stream: Stream, data: Buffer): void => {
    (stream === 'stdout' ? terminal.stdout : terminal.screen.stream).write(data);
  };
  const place = { root: flags.root, signal: terminal.signal, name };
  const show = flags.timestamps === true ? stamped(write) : ({ stream, data }: LogEntry): void => write(stream, data);
  const skip = tail === undefined ? 0 : Math.max(0, (await lineCount(place)) - tail);
  const passed = skipLines(skip, show);
  for await (const entry of containerLogs({ ...place, ...(flags.follow === true ? { follow: 'until it ends' as const } : {}) }))
    passed(entry);
  return 0;
}

function tailOf(text: string | undefined): number | undefined {
  if (text === undefined || text === 'all') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as --tail: not a number of lines`);
  return Number(text);
}

async function lineCount(place: Parameters<typeof containerLogs>[0]): Promise<number> {
  let count = 0;
  let open = false;
  for await (const { data } of containerLogs(place)) {
    for (const byte of data) {
      open = byte !== 10;
      if (!open) count++;
    }
  }
  return open ? count + 1 : count;
}

/** Leaves the first lines out, whichever stream they are of. */
function skipLines(lines: number, show: (entry: LogEntry) => void): (entry: LogEntry) => void {
  let left = lines;
  return (entry) => {
    let { data } = entry;
    while (left > 0 && data.length > 0) {
      const end = data.indexOf(10);
      if (end !== -1) left--;
      data = end === -1 ? data.subarray(data.length) : data.subarray(end + 1);
    }
    if (data.length > 0) show({ ...entry, data });
  };
}

/** The time in front of each line; a line of several writes has that of its first. */
function stamped(write: (stream: Stream, data: Buffer) => void): (entry: LogEntry) => void {
  const inLine = new Map<Stream, boolean>();
  return ({ stream, time, data }) => {
    const stamp = Buffer.from(`${new Date(time).toISOString()} `);
    for (let rest = data; rest.length > 0; ) {
      const end = rest.indexOf(10) + 1;
      const line = end === 0 ? rest : rest.subarray(0, end);
      write(stream, inLine.get(stream) === true ? line : Buffer.concat([stamp, line]));
      inLine.set(stream, end === 0);
      rest = rest.subarray(line.length);
    }
  };
}
