/** A Dockerfile of 10 MB, in the shapes that cost most: parsed and planned, beside cutting the same text into lines. */
import { planBuild } from '../src/builder/plan/plan-build.ts';
import { parseDockerfile } from '../src/parser/parse-dockerfile.ts';
import { type Bench, type Figure, median } from './_workload.ts';

const BYTES = 10 << 20;
const PLATFORM = { os: 'linux', architecture: 'amd64' };

const SHAPES: readonly (readonly [name: string, line: (index: number) => string])[] = [
  ['RUN of one letter', () => 'RUN a\n'],
  ['RUN as people write them', () => 'RUN apt-get update && apt-get install -y --no-install-recommends a b\n'],
  ['COPY with flags', () => 'COPY --chown=1:1 a b /c/\n'],
  ['COPY of a heredoc', () => 'COPY <<E /f\nx\nE\n'],
  ['ENV', (index) => `ENV k${index}=v\n`],
  ['comments and empty lines', () => '# c\n\n'],
  ['stages', (index) => `FROM a AS s${index}\n`],
];

export function parse(_bench: Bench): Figure[] {
  return SHAPES.flatMap(([name, line]) => {
    const text = fill(line);
    const wall = median(Array.from({ length: 3 }, () => timed(() => parseDockerfile(text, { file: 'Dockerfile' }))));
    const floor = median(Array.from({ length: 3 }, () => timed(() => text.split('\n').map((each) => each.trim()))));
    const dockerfile = parseDockerfile(text, { file: 'Dockerfile' });
    return [
      { name: `10 MB of ${name}, parsed`, value: wall, unit: 'ms', atMost: 2000 },
      { name: `10 MB of ${name}, times cutting it into lines`, value: wall / floor, unit: 'x' },
      { name: `10 MB of ${name}, planned`, value: timed(() => planOf(dockerfile)), unit: 'ms' },
    ];
  });
}

function planOf(dockerfile: ReturnType<typeof parseDockerfile>): unknown {
  return planBuild(dockerfile, { buildArgs: new Map(), platform: PLATFORM, buildPlatform: PLATFORM });
}

function fill(line: (index: number) => string): string {
  const lines = ['FROM a\n'];
  for (let size = 0, index = 0; size < BYTES; index++) {
    const next = line(index);
    lines.push(next);
    size += next.length;
  }
  return lines.join('');
}

function timed(act: () => unknown): number {
  const startedAt = performance.now();
  act();
  return performance.now() - startedAt;
}
