/** What the user's registries.json says. */
import { TsbuildError } from '../../errors.ts';
import { readRegistries } from '../../registry/read-registries.ts';
import { NO_REGISTRIES, type Registries } from '../../registry/registries.ts';
import type { Finding } from './finding.ts';

/** The file as it is read, or why it cannot be. */
export function readRegistryFacts(): Registries | TsbuildError {
  try {
    return readRegistries();
  } catch (error) {
    if (error instanceof TsbuildError) return error;
    throw error;
  }
}

export function registryFindings(facts: Registries | TsbuildError): Finding[] {
  const about = { group: 'surroundings', id: 'surroundings.registries', title: 'registries.json' } as const;
  if (facts instanceof TsbuildError) {
    return [
      {
        ...about,
        state: 'limited',
        found: facts.message,
        means: 'nothing is pulled and nothing pushed',
        ...(facts.hint ? { fix: facts.hint } : {}),
      },
    ];
  }
  if (facts === NO_REGISTRIES) return [{ ...about, state: 'ok', found: 'none' }];
  const mirrored = [...facts.entries].filter(([, { mirrors }]) => mirrors.length > 0).length;
  return [{ ...about, state: 'ok', found: `${facts.file}: ${facts.entries.size} entries, ${mirrored} with mirrors` }];
}
