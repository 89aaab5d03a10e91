/** The /etc/hosts of a step (hosts(5)). */

/** `extra` are lines of `--add-host`: an address and the name it gets. */
export function hostsFile(hostname: string, extra: readonly { readonly address: string; readonly name: string }[]): string {
  const lines = [`127.0.0.1\tlocalhost ${hostname}`, '::1\tlocalhost ip6-localhost ip6-loopback'];
  return [...lines, ...extra.map(({ address, name }) => `${address}\t${name}`), ''].join('\n');
}
