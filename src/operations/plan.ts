/** Plans a build with what its base images say, and what devices there are: all of it is read before anything runs. */
import { type BaseFacts, type BuildPlan, imageKey } from '../builder/plan/build-plan.ts';
import { type PlanOptions, planBuild } from '../builder/plan/plan-build.ts';
import { TsbuildError } from '../errors.ts';
import { normalizePlatform } from '../oci/platform.ts';
import type { Dockerfile } from '../parser/instruction.ts';
import { deviceDirectories, type MachineDevices, readDevices } from '../sandbox/devices/read-devices.ts';
import type { BaseImages } from './base-image.ts';

/** One plan per platform. */
export async function planPlatforms(
  dockerfile: Dockerfile,
  bases: BaseImages,
  platforms: readonly Omit<PlanOptions, 'images'>[],
): Promise<BuildPlan[]> {
  return await Promise.all(platforms.map((options) => planWithImages(dockerfile, bases, options)));
}

/**
 * What a plan names may depend on what an image's config says, so planning goes on until every image is known. Each
 * round learns of an image that was not known, or of the devices, and the Dockerfile with its triggers names so many only.
 */
async function planWithImages(dockerfile: Dockerfile, bases: BaseImages, options: Omit<PlanOptions, 'images'>): Promise<BuildPlan> {
  const images = new Map<string, BaseFacts>();
  let machine: MachineDevices | undefined;
  for (;;) {
    const plan = planBuild(dockerfile, { ...options, images, machine });
    const missing = plan.images.filter((source) => !images.has(imageKey(source)));
    if (missing.length === 0 && plan.devices === 'known') return plan;
    if (plan.devices === 'unknown') machine = await readDevices(deviceDirectories(process.env));
    const facts = await Promise.all(missing.map(async (source) => [imageKey(source), await factsOf(bases, source, dockerfile)] as const));
    for (const [key, known] of facts) images.set(key, known);
  }
}

async function factsOf(
  bases: BaseImages,
  { reference, platform, range }: BuildPlan['images'][number],
  { file, text }: Dockerfile,
): Promise<BaseFacts> {
  try {
    const { config } = await bases.resolve(reference, platform);
    return { env: config.config?.Env ?? [], onBuild: config.config?.OnBuild ?? [], platform: normalizePlatform(config) };
  } catch (error) {
    throw error instanceof TsbuildError ? error.at({ file, text, range }) : error;
  }
}
