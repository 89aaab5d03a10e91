/** What the JSON schema of SPDX 2.3 and its chapters demand of a document, as far as tsbuild writes one: said again in our words. */
import assert from 'node:assert/strict';

type Json = { readonly [name: string]: unknown };

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const ELEMENT = /^SPDXRef-[A-Za-z0-9.-]+$/;
const DOCUMENT = ['spdxVersion', 'dataLicense', 'SPDXID', 'name', 'creationInfo', 'packages', 'relationships', 'documentNamespace'];
const PACKAGE = ['SPDXID', 'name', 'downloadLocation', 'licenseConcluded', 'licenseDeclared', 'copyrightText', 'filesAnalyzed', 'supplier'];
const PACKAGE_TOO = ['versionInfo', 'homepage', 'summary', 'sourceInfo', 'externalRefs', 'primaryPackagePurpose'];
const PURPOSES = ['CONTAINER', 'OPERATING-SYSTEM'];
const OPERAND = /^(?:NOASSERTION|LicenseRef-[A-Za-z0-9.-]+|[A-Za-z0-9.-]+\+?(?: WITH [A-Za-z0-9.-]+)?)$/;

export function assertSpdx(document: object): void {
  const spdx = document as Json;
  fields(spdx, DOCUMENT, ['hasExtractedLicensingInfos']);
  assert.deepEqual([spdx['spdxVersion'], spdx['dataLicense'], spdx['SPDXID']], ['SPDX-2.3', 'CC0-1.0', 'SPDXRef-DOCUMENT']);
  assert.match(String(spdx['documentNamespace']), /^[a-z][a-z0-9+.-]*:[^#\s]+$/, 'a URI without a fragment');
  const { created, creators, ...rest } = spdx['creationInfo'] as Json;
  assert.match(String(created), TIME);
  assert.match(String((creators as string[])[0]), /^Tool: \S+-\S+$/);
  assert.deepEqual(rest, {});
  const packages = spdx['packages'] as Json[];
  for (const each of packages) checkPackage(each);
  const ids = new Set(['SPDXRef-DOCUMENT', ...packages.map((each) => String(each['SPDXID']))]);
  assert.equal(ids.size, packages.length + 1, 'each element has an id of its own');
  checkRelationships(spdx['relationships'] as Json[], ids);
  checkLicenses(packages, (spdx['hasExtractedLicensingInfos'] ?? []) as Json[]);
}

function checkPackage(each: Json): void {
  fields(each, PACKAGE, PACKAGE_TOO);
  assert.match(String(each['SPDXID']), ELEMENT);
  assert.equal(each['filesAnalyzed'], false);
  assert.match(String(each['supplier']), /^(?:NOASSERTION|(?:Person|Organization): \S.*)$/);
  if (each['primaryPackagePurpose'] !== undefined) assert.ok(PURPOSES.includes(String(each['primaryPackagePurpose'])));
  for (const reference of (each['externalRefs'] ?? []) as Json[]) {
    fields(reference, ['referenceCategory', 'referenceType', 'referenceLocator'], []);
    assert.deepEqual([reference['referenceCategory'], reference['referenceType']], ['PACKAGE-MANAGER', 'purl']);
    assert.match(String(reference['referenceLocator']), /^pkg:[a-z]+\/[!-~]+$/);
  }
}

function checkRelationships(relationships: readonly Json[], ids: ReadonlySet<string>): void {
  const named = new Set<unknown>();
  for (const each of relationships) {
    fields(each, ['spdxElementId', 'relationshipType', 'relatedSpdxElement'], []);
    assert.ok(ids.has(String(each['spdxElementId'])) && ids.has(String(each['relatedSpdxElement'])));
    assert.ok(['DESCRIBES', 'CONTAINS'].includes(String(each['relationshipType'])));
    named.add(each['relatedSpdxElement']);
  }
  assert.equal(named.size, ids.size - 1, 'all packages are described or contained');
}

/** Expressions are well formed, and every reference of theirs is explained. */
function checkLicenses(packages: readonly Json[], infos: readonly Json[]): void {
  for (const info of infos) fields(info, ['licenseId', 'extractedText', 'name'], []);
  const explained = new Set(infos.map(({ licenseId }) => licenseId));
  const used = new Set<string>();
  for (const { licenseDeclared } of packages) {
    const operands = String(licenseDeclared)
      .split(/ AND | OR |[()]/)
      .filter((part) => part !== '');
    for (const operand of operands) {
      assert.match(operand, OPERAND, String(licenseDeclared));
      if (operand.startsWith('LicenseRef-')) used.add(operand);
    }
    assert.equal(String(licenseDeclared).split('(').length, String(licenseDeclared).split(')').length);
  }
  assert.deepEqual([...used].sort(), [...explained].sort());
}

function fields(object: Json, needed: readonly string[], allowed: readonly string[]): void {
  for (const name of needed) assert.notEqual(object[name], undefined, `${name} is missing`);
  for (const [name, value] of Object.entries(object)) {
    assert.ok([...needed, ...allowed].includes(name), `${name} is no field`);
    assert.ok(value !== null, `${name} is null`);
  }
}
