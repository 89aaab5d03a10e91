import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "MaintainerDeprecated". */
export const maintainerDeprecated: Rule = {
  name: 'MaintainerDeprecated',
  description: 'MAINTAINER is deprecated: a label names the author',
  check: ({ dockerfile }) =>
    dockerfile.instructions
      .filter(({ kind }) => kind === 'maintainer')
      .map(({ range }) => ({ range, detail: 'MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors="..."' })),
};
