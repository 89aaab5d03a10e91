import { TsbuildError } from '../../errors.ts';
import { type Platform, parsePlatform } from '../../oci/platform.ts';
import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "FromPlatformFlagConstDisallowed". A stage that is named after its platform means it. */
export const fromPlatformFlagConstDisallowed: Rule = {
  name: 'FromPlatformFlagConstDisallowed',
  description: 'FROM --platform is a variable, so that the image can be built for others',
  check: ({ stages }) =>
    stages.flatMap(({ from, platform }) => {
      if (platform?.isConstant !== true) return [];
      const parsed = readPlatform(platform.text);
      const name = from.as ?? '';
      if (parsed === undefined || name.includes(parsed.os) || name.includes(parsed.architecture)) return [];
      return [{ range: from.range, detail: `--platform=${from.platform} binds the stage to one platform` }];
    }),
};

/** An architecture alone is one of Linux. */
function readPlatform(text: string): Platform | undefined {
  try {
    return parsePlatform(text.includes('/') ? text : `linux/${text}`);
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}
