import { TsbuildError } from '../../errors.ts';
import { type LoginResult, logIn } from '../../index.ts';
import { plainText } from '../../text/terminal-text.ts';
import { askOnTerminal, readPassword } from '../ask.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild login [REGISTRY]`: the password comes from a terminal without echo or from standard input, never from arguments. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [registry] = operands;
  const { signal } = terminal;
  if (flags.passwordStdin === true && flags.username === undefined) throw usage('--password-stdin needs --username');
  if (flags.passwordStdin !== true && !process.stdin.isTTY) throw usage('standard input is no terminal to ask on');
  const screen = terminal.screen.stream;
  const username = flags.username ?? (await askOnTerminal(screen, { prompt: 'Username: ', echo: 'shown', signal }));
  const password =
    flags.passwordStdin === true
      ? await readPassword(process.stdin, signal)
      : await askOnTerminal(screen, { prompt: 'Password: ', echo: 'hidden', signal });
  const result = await logIn({ registry, username, password, signal });
  for (const warning of warningsOf(result)) screen.write(`Warning: ${warning}\n`);
  printResult(terminal, plainText(`Logged in to ${result.registry} as ${username}`));
  return 0;
}

function warningsOf({ registry, keptIn, token, checked }: LoginResult): string[] {
  const secret = token ? 'A token' : 'The password';
  return [
    ...(checked ? [] : [`${registry} lets everybody in and did not look at the credentials.`]),
    ...('file' in keptIn
      ? [plainText(`${secret} stands unencrypted in ${keptIn.file}; a credential helper (credsStore) would keep it elsewhere.`)]
      : []),
  ];
}

function usage(reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot log in: ${reason}`, {
    hint: 'Such as: tsbuild login -u NAME --password-stdin REGISTRY < FILE',
  });
}
