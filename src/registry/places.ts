/** Where a reference is looked for and sent to, by the user's registries.json. */
import { TsbuildError } from '../errors.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import type { Place, Registries, RegistrySettings } from './registries.ts';
import { type Repository, repositoryName } from './repository.ts';

/** The place where pushes go and pulls end: the reference itself unless its entry has a location. Throws REGISTRY_BLOCKED. */
export function homeOf<T extends Repository>(registries: Registries, reference: T): T {
  const home = locationOf(registries, reference);
  for (const place of [reference, home]) refuseBlocked(registries, place);
  return home;
}

/** As `homeOf`, and does not ask whether one may go there. */
export function locationOf<T extends Repository>(registries: Registries, reference: T): T {
  const entry = entryOf(registries, reference);
  return entry?.settings.location === undefined ? reference : moved(reference, entry, entry.settings.location);
}

/** The mirrors of the reference, in order. Throws REGISTRY_BLOCKED. */
export function mirrorsOf(registries: Registries, reference: Reference): readonly Reference[] {
  const entry = entryOf(registries, reference);
  const mirrors = entry?.settings.mirrors.map((mirror) => moved(reference, entry, mirror)) ?? [];
  for (const mirror of mirrors) refuseBlocked(registries, mirror);
  return mirrors;
}

/** Throws REGISTRY_BLOCKED. */
export function refuseBlocked(registries: Registries, place: Repository): void {
  const entry = entryOf(registries, place);
  if (entry?.settings.blocked !== true) return;
  throw new TsbuildError(
    'REGISTRY_BLOCKED',
    `Cannot use ${place.repository === '' ? place.registry : repositoryName(place)}: ${registries.file} blocks ${entry.name}`,
    {
      hint: 'Use another registry, or ask whoever wrote that file.',
    },
  );
}

interface Entry {
  readonly name: string;
  readonly settings: RegistrySettings;
}

/** The one with the longest name, whole path components; no other counts. */
function entryOf({ entries }: Registries, { registry, repository }: Repository): Entry | undefined {
  if (entries.size === 0) return undefined;
  const parts = repository === '' ? [] : repository.split('/');
  for (let count = parts.length; count >= 0; count -= 1) {
    const name = [registry, ...parts.slice(0, count)].join('/');
    const settings = entries.get(name);
    if (settings !== undefined) return { name, settings };
  }
  return undefined;
}

/** The place instead of the entry's name, at the front. Throws REFERENCE_INVALID where that becomes too long. */
function moved<T extends Repository>(reference: T, { name }: Entry, { registry, path }: Place): T {
  const rest = `${reference.registry}/${reference.repository}`.slice(name.length + 1);
  const place = parseReference([registry, path, rest].filter((part) => part !== '').join('/'));
  return { ...reference, registry: place.registry, repository: place.repository };
}
