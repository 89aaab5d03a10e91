/** The cache mounts that steps of a build name, run or not: noted for whoever exports them. */
export interface UsedMounts {
  /** `name`: 64 hex digits; `id` as the Dockerfile has it. */
  add(name: string, id: string): void;
  /** Each once. */
  list(): readonly (readonly [name: string, id: string])[];
}

export function openUsedMounts(): UsedMounts {
  const ids = new Map<string, string>();
  return { add: (name, id) => void ids.set(name, id), list: () => [...ids] };
}
