/** What a user has to know whose namespace has one id. */
import { idScope, ownIds } from '../../sys/ids.ts';
import { userName } from './user-name.ts';

/** Undefined where there are more. */
export function oneIdWarning(): string | undefined {
  if (idScope() !== 'one') return undefined;
  const user = userName(ownIds('uid')[0]?.outside ?? 0) ?? 'NAME';
  return (
    'This user has no subordinate ids (/etc/subuid, /etc/subgid), or newuidmap is missing: a step cannot change owners or run as another user. ' +
    `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user} changes that`
  );
}
