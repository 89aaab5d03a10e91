/** `--allow device`, `--allow device=NAME[,alias=WORD]`: which devices a Dockerfile may ask for, and what it calls them. Source: docker buildx build, --allow. */
import { TsbuildError } from '../../errors.ts';
import { splitMountFields } from '../../parser/mount-fields.ts';

export interface DeviceGrants {
  readonly all: boolean;
  /** As RUN --device names them. */
  readonly names: readonly string[];
  /** What a Dockerfile calls a device → the device. */
  readonly aliases: ReadonlyMap<string, string>;
}

const PREFIX = 'device=';

/** Throws USAGE. */
export function deviceGrants(entitlements: Iterable<string>): DeviceGrants {
  const names: string[] = [];
  const aliases = new Map<string, string>();
  let all = false;
  for (const entitlement of entitlements) {
    if (entitlement === 'device') all = true;
    if (!entitlement.startsWith(PREFIX)) continue;
    const { name, alias } = readGrant(entitlement);
    if (alias === undefined) names.push(name);
    else aliases.set(alias, name);
  }
  return { all, names, aliases };
}

/** Throws USAGE for what is no `device=NAME[,alias=WORD]`. */
export function readGrant(entitlement: string): { readonly name: string; readonly alias: string | undefined } {
  const [[key, value] = [''], ...options] = fieldsOf(entitlement);
  const name = value === undefined ? key : `${key}=${value}`;
  const strange = options.find(([option, given]) => option !== 'alias' || given === undefined || given === '');
  if (name !== '' && strange === undefined && options.length <= 1) return { name, alias: options[0]?.[1] };
  throw refused(entitlement);
}

function fieldsOf(entitlement: string): ReturnType<typeof splitMountFields> {
  try {
    return splitMountFields(entitlement.slice(PREFIX.length));
  } catch (error) {
    throw error instanceof TsbuildError ? refused(entitlement) : error;
  }
}

function refused(entitlement: string): TsbuildError {
  return new TsbuildError(
    'USAGE',
    `Cannot use ${JSON.stringify(entitlement.slice(0, 200))} as --allow: not device=NAME or device=NAME,alias=WORD`,
  );
}
