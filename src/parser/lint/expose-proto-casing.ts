import { builtSteps, type Rule } from './rule.ts';

/** Source: Docker's build checks, "ExposeProtoCasing". */
export const exposeProtoCasing: Rule = {
  name: 'ExposeProtoCasing',
  description: 'The protocol of EXPOSE is written in lower case',
  check: (subject) =>
    [...builtSteps(subject)].flatMap(({ expanded }) =>
      expanded.kind !== 'expose'
        ? []
        : expanded.ports
            .filter((port) => port.includes('/') && port !== port.toLowerCase())
            .map((port) => ({
              range: expanded.range,
              detail: `The protocol of ${JSON.stringify(port.slice(0, 80))} is not in lower case`,
            })),
    ),
};
