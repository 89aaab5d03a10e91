/** Asks a git server, whose port is the argument, that never answers: to be killed. */
import { runGit } from '../../src/context/git-command.ts';

const origin = `git://127.0.0.1:${process.argv[2]}`;
await runGit({
  args: ['ls-remote', '--', `${origin}/hanging.git`],
  network: { transport: 'git', origin, authorization: undefined, sshAgent: undefined },
  signal: new AbortController().signal,
  timeoutMs: 60_000,
});
