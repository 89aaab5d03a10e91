/** The SBOMs of one platform's build: of its result, and of what ARGs name beside it. */
import type { SbomRequest } from '../attestations/attestation-request.ts';
import { PREDICATE_TYPE, type Predicate } from '../attestations/statement.ts';
import { snapshotOf } from '../builder/execute/files.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import type { StageState } from '../builder/execute/stage-state.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { scanTargets } from '../builder/plan/scan-targets.ts';
import { readVersion } from '../read-version.ts';
import type { FileTree } from '../tree/file-tree.ts';

export interface ScannedBuild {
  readonly plan: BuildPlan;
  /** Of all its stages. */
  readonly stages: readonly StageState[];
  readonly resources: BuildResources;
}

/** The result's first. `created`: RFC 3339. */
export async function buildSboms(build: ScannedBuild, request: SbomRequest, created: string): Promise<Predicate[]> {
  const { plan, stages, resources } = build;
  const { stages: others, context } = scanTargets(plan);
  const scan = async (name: string, suffix: string, tree: FileTree): Promise<Predicate> => ({
    type: PREDICATE_TYPE.spdx,
    body: await scanned(tree, { name, created, resources }),
    fileName: `sbom${suffix}.spdx.json`,
    inFiles: request.inlineOnly !== true,
  });
  const scanStage = async (index: number, suffix: string): Promise<Predicate> => {
    const state = stages[index];
    if (state === undefined) throw new Error('Each stage of a plan has run');
    using tree = resources.snapshots.tree(await snapshotOf(resources, state.files));
    return await scan(plan.stages[index]?.name ?? '', suffix, tree);
  };
  const all = [await scanStage(plan.target, '')];
  for (const index of others) all.push(await scanStage(index, `-${fileWord(plan.stages[index]?.name ?? String(index))}`));
  if (context) all.push(await scan('context', '-context', (await resources.contexts.open(undefined)).tree));
  return all;
}

interface Scanning {
  readonly name: string;
  readonly created: string;
  readonly resources: BuildResources;
}

/** What reads packages is loaded when somebody wants to know of them. */
async function scanned(tree: FileTree, { name, created, resources }: Scanning): Promise<object> {
  const { findPackages } = await import('../attestations/packages/find-packages.ts');
  const { spdxLicenseNames } = await import('../attestations/packages/spdx-license-names.ts');
  const { spdxDocument } = await import('../attestations/spdx-document.ts');
  const inventory = await findPackages(tree, { signal: resources.signal, warn: resources.warnOnce });
  return spdxDocument({ name, created, inventory, licenses: spdxLicenseNames(), version: readVersion() });
}

function fileWord(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 100);
}
