/** `--ssh default|id[=socket|key[,key]]`. */
import { TsbuildError } from '../errors.ts';
import type { SshSource } from '../index.ts';

/** By id; without a path the agent of the environment is meant. Throws USAGE. */
export function sshOf(words: readonly string[], env: Readonly<Record<string, string | undefined>>): Record<string, SshSource> {
  const sources: Record<string, SshSource> = Object.create(null) as Record<string, SshSource>;
  for (const word of words) {
    const equals = word.indexOf('=');
    const id = equals === -1 ? word : word.slice(0, equals);
    const paths =
      equals === -1
        ? []
        : word
            .slice(equals + 1)
            .split(',')
            .filter((path) => path !== '');
    const agent = env['SSH_AUTH_SOCK'] ?? '';
    if (id === '') throw refused(word, 'it has no id');
    if (paths.length === 0 && agent === '') throw refused(word, 'SSH_AUTH_SOCK is not set, so no agent is known');
    sources[id] = paths.length === 0 ? [agent] : paths;
  }
  return sources;
}

function refused(word: string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word)} as --ssh: ${reason}`, {
    hint: 'Write --ssh default for the agent of your session, or --ssh NAME=SOCKET, or --ssh NAME=KEYFILE.',
  });
}
