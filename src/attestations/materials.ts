/** What a build took from elsewhere, with the digest that it had: provenance calls them materials, or resolved dependencies. */

import { shownUrl } from '../http/shown-url.ts';
import type { Digest } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import { imagePurl, packageUrl } from './package-url.ts';
import type { DigestSet } from './statement.ts';

export interface Material {
  readonly uri: string;
  readonly digest: DigestSet;
}

/** Filled while a build runs. What plans have in common (contexts) belongs to each of them. */
export interface MaterialLog {
  /** `plan`: the one that needed it; undefined: all. */
  add(material: Material, plan?: object): void;
  /** Each once, by their addresses. */
  of(plan: object): readonly Material[];
}

export function openMaterialLog(): MaterialLog {
  const shared: Material[] = [];
  const own = new Map<object, Material[]>();
  return {
    add(material, plan) {
      if (plan === undefined) shared.push(material);
      else own.set(plan, [...(own.get(plan) ?? []), material]);
    },
    of: (plan) => sortedMaterials([...shared, ...(own.get(plan) ?? [])]),
  };
}

/** Each once, in an order that does not depend on which step was first. */
export function sortedMaterials(materials: readonly Material[]): Material[] {
  const byIdentity = new Map(materials.map((material) => [`${material.uri}\0${Object.values(material.digest).join()}`, material]));
  return [...byIdentity].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, material]) => material);
}

/** `name`: as the Dockerfile has it; an `oci-layout://` address names a place of this machine, which is nobody's business. */
export function imageMaterial(name: string, platform: Platform, digest: Digest): Material {
  const [algorithm = '', hex = ''] = digest.split(':');
  const uri = name.startsWith('oci-layout://')
    ? packageUrl({ type: 'oci', name: 'oci-layout', version: digest })
    : imagePurl(name, platform);
  return { uri, digest: { [algorithm]: hex } };
}

export function gitMaterial(remote: string, ref: string | undefined, commit: string): Material {
  return { uri: ref === undefined ? remote : `${remote}#${ref}`, digest: { [commit.length === 64 ? 'sha256' : 'sha1']: commit } };
}

/** `hex`: of the sha256 of what was fetched, which says more than the rest of the address. */
export function httpMaterial(url: URL, hex: string): Material {
  return { uri: shownUrl(url), digest: { sha256: hex } };
}
