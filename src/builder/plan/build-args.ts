/** Build arguments: what an ARG's name stands for, and which names need no ARG. Source: Dockerfile reference "ARG"; BuildKit's behaviour. */
import { normalizePlatform, type Platform } from '../../oci/platform.ts';
import type { ArgDeclaration, Dockerfile, Word } from '../../parser/instruction.ts';
import type { ArgSources } from './build-plan.ts';

/** Proxy settings: they need no ARG, and stay out of history and of cache keys unless an ARG names them. */
const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'] as const;

/**
 * The value of an ARG of a stage: `--build-arg` wins, then its own default, then the global ARG or platform argument
 * of that name. undefined: it has no value. The name stands as it is written, quotes and variables in it too; `expand`
 * is called for the default only if it counts.
 */
export function resolveArg(declaration: ArgDeclaration, sources: ArgSources, expand: (word: Word) => string): string | undefined {
  const given = sources.buildArgs.get(declaration.key);
  if (given !== undefined) return given;
  if (declaration.value !== undefined) return expand(declaration.value);
  return sources.globalArgs.get(declaration.key);
}

/** The proxy variables for the environment of a RUN: each given one, unless it is empty, under its upper-case and its lower-case name. */
export function proxyEnvironment(buildArgs: ReadonlyMap<string, string>): Map<string, string> {
  const environment = new Map<string, string>();
  for (const upper of PROXY_NAMES) {
    const lower = upper.toLowerCase();
    const [first, second] = [upper, lower].map((name) => buildArgs.get(name) ?? '');
    const value = first || second;
    if (value) environment.set(upper, value).set(lower, second || value);
  }
  return environment;
}

/** ARGs that speak to a scanner and are no variables of the stage. */
const SCANNER_NAMES: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** Whether an ARG of this name is a variable for expansion and for RUN. */
export function isVariableName(name: string): boolean {
  return !SCANNER_NAMES.has(name);
}

export function isProxyName(name: string): boolean {
  return PROXY_NAMES.some((proxy) => proxy === name || proxy.toLowerCase() === name);
}

export interface Platforms {
  readonly platform: Platform;
  readonly buildPlatform: Platform;
}

/** TARGETPLATFORM and its kin: free in FROM lines, to be declared with ARG in a stage. `targetStage` is the target's name. */
export function platformArgs({ platform, buildPlatform }: Platforms, targetStage: string | undefined): Map<string, string> {
  return new Map([
    ...platformArgsOf('TARGET', normalizePlatform(platform)),
    ...platformArgsOf('BUILD', normalizePlatform(buildPlatform)),
    ['TARGETSTAGE', targetStage ?? 'default'],
  ]);
}

/** Names given with `--build-arg` that no ARG of the Dockerfile declares and that mean nothing by themselves. */
export function unusedBuildArgs(plan: { readonly dockerfile: Dockerfile }, buildArgs: ReadonlyMap<string, string>): string[] {
  const declared = new Set<string>();
  for (const instruction of plan.dockerfile.instructions) {
    if (instruction.kind !== 'arg') continue;
    for (const { key } of instruction.declarations) declared.add(key);
  }
  return [...buildArgs.keys()].filter((name) => !declared.has(name) && !needsNoArg(name));
}

function needsNoArg(name: string): boolean {
  const isPlatformArg = /^(?:TARGET|BUILD)(?:PLATFORM|OS|OSVERSION|ARCH|VARIANT)$/.test(name) || name === 'TARGETSTAGE';
  return isProxyName(name) || isPlatformArg || name.startsWith('BUILDKIT_') || name === 'SOURCE_DATE_EPOCH';
}

function platformArgsOf(prefix: 'TARGET' | 'BUILD', { os, architecture, variant = '' }: Platform): [string, string][] {
  return [
    [`${prefix}PLATFORM`, [os, architecture, variant].filter((part) => part !== '').join('/')],
    [`${prefix}OS`, os],
    [`${prefix}OSVERSION`, ''],
    [`${prefix}ARCH`, architecture],
    [`${prefix}VARIANT`, variant],
  ];
}
