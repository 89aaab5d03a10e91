/** What a Dockerfile may ask for only where the caller of the build allows it. Source: Dockerfile reference "RUN --security". */
import { TsbuildError } from '../../errors.ts';
import type { Dockerfile } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import type { StageInstruction } from './build-plan.ts';

/** As `--allow` names them: `device` is any device, `device=NAME[,alias=WORD]` some of them. */
export type Entitlement = 'network.host' | 'security.insecure' | 'device' | `device=${string}`;

/** Throws NOT_ALLOWED at the flag of a RUN: while planning, so that no build fails half-way for it. Devices: step-devices.ts. */
export function needAllowed(dockerfile: Dockerfile, instruction: StageInstruction, allowed: ReadonlySet<Entitlement>): void {
  if (instruction.kind !== 'run') return;
  const wanted = [
    { is: instruction.network === 'host', name: 'network', value: 'host', entitlement: 'network.host' },
    { is: instruction.security === 'insecure', name: 'security', value: 'insecure', entitlement: 'security.insecure' },
  ] as const;
  for (const { is, name, value, entitlement } of wanted) {
    if (!is || allowed.has(entitlement)) continue;
    throw new TsbuildError('NOT_ALLOWED', `Cannot use RUN --${name}=${value}: this build does not allow ${entitlement}`, {
      hint: `If you trust this Dockerfile, build with --allow ${entitlement}.`,
      location: locate(dockerfile, instruction, { kind: 'flag', name }),
    });
  }
}
