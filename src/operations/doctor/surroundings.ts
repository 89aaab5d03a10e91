/** Who runs tsbuild, and whether in a container. */
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { capabilityNames } from '../../sandbox/capability.ts';
import { DEFAULT_CAPABILITIES } from '../../sandbox/container-defaults.ts';
import { type Asker, type Finding, isRoot } from './finding.ts';

export interface SurroundingsFacts {
  readonly asker: Asker;
  /** Such as `docker`. */
  readonly container: string | undefined;
  readonly seccomp: 'none' | 'strict' | 'filter';
  readonly noNewPrivileges: boolean;
}

export function readAsker(): Asker {
  const status = readFileSync('/proc/self/status', 'utf8');
  const capabilities = capabilityNames(BigInt(`0x${statusField(status, 'CapEff') || '0'}`));
  const uid = process.geteuid?.() ?? -1;
  return { uid, name: nameOf(uid), capabilities };
}

export function readSurroundingsFacts(asker: Asker): SurroundingsFacts {
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    asker,
    container: containerName(),
    seccomp: (['none', 'strict', 'filter'] as const)[Number(statusField(status, 'Seccomp') || '0')] ?? 'filter',
    noNewPrivileges: statusField(status, 'NoNewPrivs') === '1',
  };
}

export function surroundingsFindings({ asker, container, seccomp, noNewPrivileges }: SurroundingsFacts): Finding[] {
  return [
    { group: 'surroundings', id: 'surroundings.container', title: 'container', state: 'ok', found: container ?? 'none that shows' },
    { group: 'surroundings', id: 'surroundings.seccomp', title: 'seccomp of tsbuild', state: 'ok', found: seccomp },
    capabilityFinding(asker),
    ...(noNewPrivileges ? [noNewPrivilegesFinding(asker)] : []),
  ];
}

function capabilityFinding(asker: Asker): Finding {
  const about = { group: 'surroundings', id: 'surroundings.capabilities', title: 'capabilities' } as const;
  if (!isRoot(asker)) return { ...about, state: 'ok', found: `${asker.capabilities.length}, as user ${asker.name}` };
  const lacking = ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', ...DEFAULT_CAPABILITIES].filter((name) => !asker.capabilities.includes(name));
  if (lacking.length === 0) return { ...about, state: 'ok', found: 'all that steps need' };
  return {
    ...about,
    state: lacking.includes('CAP_SYS_ADMIN') ? 'missing' : 'limited',
    found: `root without ${lacking.join(', ')}`,
    means: lacking.includes('CAP_SYS_ADMIN') ? 'this root may make no namespaces' : 'steps that need these fail',
    fix: `Inside Docker: docker run --privileged; otherwise give tsbuild ${lacking[0] ?? ''}.`,
  };
}

function noNewPrivilegesFinding(asker: Asker): Finding {
  const about = { group: 'surroundings', id: 'surroundings.no-new-privileges', title: 'no_new_privs', found: 'on' } as const;
  if (isRoot(asker))
    return {
      ...about,
      state: 'limited',
      means: 'set-user-ID programs of steps, such as sudo, do nothing',
      fix: 'Start tsbuild without it.',
    };
  return { ...about, state: 'limited', means: 'newuidmap does nothing, so that steps have one id only', fix: 'Start tsbuild without it.' };
}

function containerName(): string | undefined {
  if (existsSync('/run/.containerenv')) return 'podman';
  if (existsSync('/.dockerenv')) return 'docker';
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'kubernetes';
  return process.env['container'];
}

function nameOf(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    // Nobody wrote this id down.
    return String(uid);
  }
}

function statusField(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1] ?? '';
}
