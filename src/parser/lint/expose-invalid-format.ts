import { builtSteps, type Rule } from './rule.ts';

/** Source: Docker's build checks, "ExposeInvalidFormat". */
export const exposeInvalidFormat: Rule = {
  name: 'ExposeInvalidFormat',
  description: 'EXPOSE names ports of the container: neither an address nor a port of the host',
  check: (subject) =>
    [...builtSteps(subject)].flatMap(({ expanded }) =>
      expanded.kind !== 'expose'
        ? []
        : expanded.ports
            .filter((port) => port.includes(':'))
            .map((port) => ({
              range: expanded.range,
              detail: `${JSON.stringify(port.slice(0, 80))} has an address or a port of the host, which EXPOSE ignores`,
            })),
    ),
};
