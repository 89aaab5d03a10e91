/** Platforms in Go's names. Source: OCI image-spec image-index.md "platform". */
import { TsbuildError } from '../errors.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Node's `process.arch` → Go's GOARCH and variant. */
const ARCHITECTURES: ReadonlyMap<string, Omit<Platform, 'os'>> = new Map([
  ['x64', { architecture: 'amd64' }],
  ['arm64', { architecture: 'arm64' }],
  ['arm', { architecture: 'arm', variant: 'v7' }],
  ['ia32', { architecture: '386' }],
  ['riscv64', { architecture: 'riscv64' }],
  ['ppc64', { architecture: 'ppc64le' }],
  ['s390x', { architecture: 's390x' }],
  ['loong64', { architecture: 'loong64' }],
]);

/** The platform of a machine, from Node's name of its architecture. */
export function platformOf(nodeArch: string): Platform {
  return { os: 'linux', ...(ARCHITECTURES.get(nodeArch) ?? { architecture: nodeArch }) };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined && part !== '').join('/');
}

/** `linux/arm64/v8` → its normal form: arm64 has no v8, arm is v7 unless it says otherwise, x86_64 is amd64, `arm64` alone is Linux. */
export function parsePlatform(text: string): Platform {
  const words = text.toLowerCase().split('/');
  const [os = '', arch = '', variant, ...rest] = words.length === 1 && isArchitecture(text) ? ['linux', text] : words;
  if (os === '' || arch === '' || rest.length > 0 || variant === '') {
    throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as a platform: not os/architecture[/variant]`);
  }
  return normalizePlatform({ os, architecture: arch, ...(variant === undefined ? {} : { variant }) });
}

/** One that Go knows by this or another name, so that `arm64` alone is a platform. */
function isArchitecture(text: string): boolean {
  const { architecture } = normalizePlatform({ os: 'linux', architecture: text });
  return [...ARCHITECTURES.values()].some((known) => known.architecture === architecture);
}

export function normalizePlatform({ os, architecture, variant }: Platform): Platform {
  const known = new Map([
    ['x86_64', 'amd64'],
    ['x86-64', 'amd64'],
    ['aarch64', 'arm64'],
    ['armhf', 'arm'],
    ['i386', '386'],
  ]);
  const arch = known.get(architecture) ?? architecture;
  const plain = (arch === 'arm64' && variant === 'v8') || arch === 'amd64' ? undefined : (variant ?? (arch === 'arm' ? 'v7' : undefined));
  return { os, architecture: arch, ...(plain === undefined || plain === '' ? {} : { variant: plain }) };
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}
