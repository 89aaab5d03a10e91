import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "RedundantTargetPlatform". */
export const redundantTargetPlatform: Rule = {
  name: 'RedundantTargetPlatform',
  description: 'FROM without --platform takes the target platform already',
  check: ({ stages, platform: target }) =>
    stages.flatMap(({ from, platform }) => {
      if (platform === undefined || platform.unset.length > 0 || platform.text !== target) return [];
      if (platform.used.length !== 1 || platform.used[0] !== 'TARGETPLATFORM') return [];
      return [{ range: from.range, detail: `--platform=${from.platform} is the default and can be left out` }];
    }),
};
