/** Packages → an SPDX document in JSON. Same packages, same bytes: nothing in it is random. Source: SPDX 2.3. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../oci/canonical-json.ts';
import type { Inventory } from './packages/find-packages.ts';
import type { InstalledPackage } from './packages/installed-package.ts';
import { type LicenseNames, licenseExpression } from './packages/license-expression.ts';
import type { OperatingSystem } from './packages/operating-system.ts';
import { packagePurl } from './packages/package-purl.ts';

export interface Documented {
  /** What was looked at, such as `app:1` or `stage build`. */
  readonly name: string;
  /** RFC 3339, whole seconds, UTC. */
  readonly created: string;
  readonly inventory: Inventory;
  readonly licenses: LicenseNames;
  /** Of tsbuild. */
  readonly version: string;
}

const NONE = 'NOASSERTION';
const DOCUMENT = 'SPDXRef-DOCUMENT';
const ROOT = 'SPDXRef-Image';

export function spdxDocument({ name, created, inventory, licenses, version }: Documented): object {
  const references = new Map<string, string>();
  const installed = inventory.packages.map((each) => packageEntry(each, inventory.system, (text) => declared(text, licenses, references)));
  const system = inventory.system === undefined ? [] : [systemEntry(inventory.system)];
  const all = [...system, ...installed];
  const content = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    creationInfo: { created, creators: [`Tool: tsbuild-${version}`] },
    packages: [rootEntry(name), ...all],
    ...(references.size === 0 ? {} : { hasExtractedLicensingInfos: [...references].sort(byFirst).map(extracted) }),
    relationships: [relation(DOCUMENT, 'DESCRIBES', ROOT), ...all.map(({ SPDXID }) => relation(ROOT, 'CONTAINS', SPDXID))],
  };
  return { ...content, documentNamespace: `urn:tsbuild:sbom:${createHash('sha256').update(canonicalJson(content)).digest('hex')}` };
}

interface Entry {
  readonly SPDXID: string;
  readonly [field: string]: unknown;
}

const UNKNOWN = { downloadLocation: NONE, licenseConcluded: NONE, copyrightText: NONE, filesAnalyzed: false } as const;

function rootEntry(name: string): Entry {
  return { ...UNKNOWN, SPDXID: ROOT, name, licenseDeclared: NONE, primaryPackagePurpose: 'CONTAINER', supplier: NONE };
}

function systemEntry({ id, version, name }: OperatingSystem): Entry {
  return {
    ...{ ...UNKNOWN, SPDXID: 'SPDXRef-OperatingSystem', name: id, licenseDeclared: NONE, summary: name, supplier: NONE },
    ...(version === undefined ? {} : { versionInfo: version }),
    primaryPackagePurpose: 'OPERATING-SYSTEM',
  };
}

function packageEntry(
  installed: InstalledPackage,
  system: OperatingSystem | undefined,
  license: (text: string | undefined) => string,
): Entry {
  const purl = packagePurl(installed, system);
  const name = installed.scope === undefined ? installed.name : `${installed.scope}/${installed.name}`;
  const homepage = webAddress(installed.homepage);
  return {
    ...UNKNOWN,
    SPDXID: idOf(installed, purl),
    ...{ name, versionInfo: installed.version, licenseDeclared: license(installed.license), supplier: supplierOf(installed) },
    ...(homepage === undefined ? {} : { homepage }),
    ...(installed.summary === undefined ? {} : { summary: installed.summary }),
    sourceInfo: `recorded in ${installed.recordedIn}`,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

/** Letters, digits, dots and hyphens; two of one name and place have different purls. */
function idOf({ manager, name, recordedIn }: InstalledPackage, purl: string): string {
  const digest = createHash('sha256').update(`${purl}\0${recordedIn}`).digest('hex').slice(0, 16);
  return `SPDXRef-Package-${manager}-${name.replace(/[^A-Za-z0-9.-]+/g, '-').slice(0, 80)}-${digest}`;
}

function declared(text: string | undefined, licenses: LicenseNames, references: Map<string, string>): string {
  const found = text === undefined ? undefined : licenseExpression(text, licenses);
  for (const [id, name] of found?.references ?? []) references.set(id, name);
  return found?.expression ?? NONE;
}

function extracted([licenseId, name]: readonly [string, string]): object {
  return {
    licenseId,
    name,
    extractedText: `The package names its licence ${JSON.stringify(name)}; the text is not part of this document.`,
  };
}

/** As SPDX writes people: `Person: Name (address)`. Teams are people who say that they are none. */
function supplierOf({ supplier, manager }: InstalledPackage): string {
  const [, name = '', address] = /^([^<]*?)\s*(?:<([^<>]+)>.*)?$/.exec(supplier ?? '') ?? [];
  if (name === '' && address === undefined) return NONE;
  const isTeam =
    manager === 'rpm' || /\b(?:team|group|list|maintainers?|developers?|project|foundation|inc|ltd)\b/i.test(`${name} ${address ?? ''}`);
  const plain = name.replace(/[()]/g, '').trim();
  return `${isTeam ? 'Organization' : 'Person'}: ${plain === '' ? address : plain}${plain === '' || address === undefined ? '' : ` (${address})`}`;
}

function webAddress(text: string | undefined): string | undefined {
  return text !== undefined && /^https?:\/\/[!-~]+$/i.test(text) && URL.canParse(text) ? text : undefined;
}

function relation(spdxElementId: string, relationshipType: 'DESCRIBES' | 'CONTAINS', relatedSpdxElement: string): object {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

function byFirst([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
