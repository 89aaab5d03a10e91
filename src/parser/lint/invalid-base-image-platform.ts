import type { Rule } from './rule.ts';

/** Source: BuildKit. Looks at images that the store has. */
export const invalidBaseImagePlatform: Rule = {
  name: 'InvalidBaseImagePlatform',
  description: 'The base image is there for the platform that is built',
  check: ({ stages, platform }) =>
    stages.flatMap((stage) => {
      if (!stage.isBuilt || stage.image?.isForOtherPlatform !== true) return [];
      return [{ range: stage.from.range, detail: `The base image ${stage.base.text} is not for ${stage.platform?.text ?? platform}` }];
    }),
};
