/** The proxy for an address, out of the environment. Source: Go's golang.org/x/net/http/httpproxy, which Docker follows; ALL_PROXY: curl(1). */
import { BlockList, isIP } from 'node:net';
import { TsbuildError } from '../errors.ts';
import { isLoopbackHost } from './host-scope.ts';

export interface ChosenProxy {
  /** Without userinfo. */
  readonly url: URL;
  /** Its Proxy-Authorization header: a secret. */
  readonly authorization: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** undefined: none. This machine itself is never behind a proxy. Throws CONFIGURATION_INVALID where a variable is no address of a proxy. */
export function proxyFor(url: URL, env: Environment = process.env): ChosenProxy | undefined {
  if (isLoopbackHost(url.hostname) || isExcepted(url, variableOf(env, 'no_proxy')?.value ?? '')) return undefined;
  const found = variableOf(env, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') ?? variableOf(env, 'all_proxy');
  return found === undefined ? undefined : parseProxy(found);
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

/** Lower case before upper case, as curl has it; empty is unset. */
function variableOf(env: Environment, name: string): Variable | undefined {
  const found = [name, name.toUpperCase()].find((each) => (env[each] ?? '').trim() !== '');
  return found === undefined ? undefined : { name: found, value: env[found]?.trim() ?? '' };
}

function parseProxy({ name, value }: Variable): ChosenProxy {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const userinfo = url === undefined ? undefined : decodedUserinfo(url);
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || userinfo === undefined) {
    // Without the value: it may hold a password.
    throw new TsbuildError('CONFIGURATION_INVALID', `Cannot use the proxy of ${name}: not http://[user:password@]host[:port]`, {
      hint: `Correct or unset ${name}; NO_PROXY names hosts that are reached without a proxy.`,
    });
  }
  const authorization = url.username === '' ? undefined : `Basic ${Buffer.from(userinfo, 'utf8').toString('base64')}`;
  return { url: new URL(url.origin), authorization };
}

/** undefined where it is no UTF-8. */
function decodedUserinfo({ username, password }: URL): string | undefined {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** `name` is also all below it; `.name` and `*.name` only those; addresses and ranges of addresses count for addresses; each may have a port. */
function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const entries = list.toLowerCase().split(/[,\s]+/);
  return entries.some((entry) => entry !== '' && (entry === '*' || isInRange(host, entry) || isNamed(entry, { host, port })));
}

function isNamed(entry: string, { host, port }: { host: string; port: string }): boolean {
  const [, bracketed, plain, wanted] = /^(?:\[(.+)\]|([^:]*|[^[\]]*:[^[\]]*:[^[\]]*?))(?::([0-9]+))?$/.exec(entry) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const name = (bracketed ?? plain ?? '').replace(/^\*\./, '.');
  if (name === '') return false;
  if (isIP(host) !== 0) return isIP(name) !== 0 && isInRange(host, `${name}/${isIP(name) === 4 ? 32 : 128}`);
  return host === name || host.endsWith(name.startsWith('.') ? name : `.${name}`);
}

/** `10.0.0.0/8`, `fd00::/8` */
function isInRange(host: string, entry: string): boolean {
  const [, net = '', bits = ''] = /^(.+)\/([0-9]{1,3})$/.exec(entry) ?? [];
  const family = isIP(net) === 4 ? 'ipv4' : 'ipv6';
  if (isIP(net) === 0 || isIP(host) === 0 || Number(bits) > (family === 'ipv4' ? 32 : 128)) return false;
  const range = new BlockList();
  range.addSubnet(net, Number(bits), family);
  return range.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6');
}
