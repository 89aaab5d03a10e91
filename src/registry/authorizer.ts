/** Answers challenges: Basic, and Bearer tokens kept by scope. Source: distribution-spec and Docker's "Token Authentication". */
import type { Challenge } from './challenge.ts';
import type { Credential } from './credential.ts';
import type { CredentialQuestion, FoundCredential } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { repositoryOfScopes } from './repository.ts';
import { type FetchToken, realmOf, type Token, type TokenRealm } from './token.ts';

/** Such as `repository:library/debian:pull`. */
export type Scope = string;

export interface Authorizer {
  /** The Authorization header for these scopes once the registry's way is known; undefined before its first challenge. */
  known(endpoint: Endpoint, scopes: readonly Scope[], action: string): Promise<string | undefined>;
  /** The header that answers a challenge to a request sent with `used`; undefined where there is no other answer. */
  answer(endpoint: Endpoint, challenges: readonly Challenge[], question: Question): Promise<string | undefined>;
  /** Where the credentials for these scopes came from; undefined where none were needed so far. */
  source(endpoint: Endpoint, scopes: readonly Scope[]): string | undefined;
}

export interface Question {
  readonly scopes: readonly Scope[];
  readonly used: string | undefined;
  readonly action: string;
}

interface RegistryState {
  way: 'basic' | TokenRealm | undefined;
  /** By repository; '' where a request is for none. */
  readonly credentials: Map<string, Promise<FoundCredential>>;
  readonly sources: Map<string, string>;
  /** By our scopes, sorted. */
  readonly tokens: Map<string, Promise<Token>>;
}

export interface AuthorizerOptions {
  readonly findCredential: (question: CredentialQuestion) => Promise<FoundCredential>;
  readonly fetchToken: FetchToken;
  readonly now: () => number;
}

export function openAuthorizer(options: AuthorizerOptions): Authorizer {
  const states = new Map<string, RegistryState>();
  const stateOf = (endpoint: Endpoint): RegistryState => {
    const found = states.get(endpoint.origin) ?? {
      ...{ way: undefined, credentials: new Map(), sources: new Map(), tokens: new Map() },
    };
    states.set(endpoint.origin, found);
    return found;
  };
  return {
    async known(endpoint, scopes, action) {
      const state = stateOf(endpoint);
      if (state.way === undefined) return undefined;
      const credential = await credentialOf(options, state, { endpoint, scopes });
      if (state.way === 'basic') return basicHeader(credential);
      if (credential?.kind === 'bearer') return `Bearer ${credential.token}`;
      return bearerHeader(options, state, { endpoint, realm: state.way, scopes, action, credential });
    },
    async answer(endpoint, challenges, { scopes, used, action }) {
      const state = stateOf(endpoint);
      const credential = await credentialOf(options, state, { endpoint, scopes });
      if (credential?.kind === 'bearer') return unlessUsed(`Bearer ${credential.token}`, used);
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
      if (bearer === undefined) {
        if (!challenges.some(({ scheme }) => scheme === 'basic')) return undefined;
        state.way = 'basic';
        return unlessUsed(basicHeader(credential), used);
      }
      const realm = realmOf(bearer, endpoint, action);
      state.way = realm;
      await forgetToken(state, scopes, used);
      const asked = [...scopes, ...(bearer.parameters.get('scope') ?? '').split(' ').filter((scope) => scope !== '')];
      return bearerHeader(options, state, { endpoint, realm, scopes, asked, action, credential });
    },
    source: (endpoint, scopes) => stateOf(endpoint).sources.get(repositoryOfScopes(scopes) ?? ''),
  };
}

/** Asked once for each repository, and only when its registry wants to know who we are. */
async function credentialOf(
  options: AuthorizerOptions,
  state: RegistryState,
  { endpoint, scopes }: { endpoint: Endpoint; scopes: readonly Scope[] },
): Promise<Credential | undefined> {
  const repository = repositoryOfScopes(scopes);
  const key = repository ?? '';
  const asked = state.credentials.get(key) ?? options.findCredential({ registry: endpoint.registry, repository });
  state.credentials.set(key, asked);
  const { credential, source } = await asked;
  state.sources.set(key, source);
  return credential;
}

function basicHeader(credential: Credential | undefined): string | undefined {
  if (credential?.kind !== 'password') return undefined;
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')}`;
}

function unlessUsed(header: string | undefined, used: string | undefined): string | undefined {
  return header === used ? undefined : header;
}

interface TokenRequest {
  readonly endpoint: Endpoint;
  readonly realm: TokenRealm;
  readonly scopes: readonly Scope[];
  /** What to ask for, if the challenge wants more than `scopes`. */
  readonly asked?: readonly Scope[];
  readonly action: string;
  readonly credential: Credential | undefined;
}

/** One token in flight for each set of scopes: whoever asks meanwhile gets the same. */
async function bearerHeader(options: AuthorizerOptions, state: RegistryState, request: TokenRequest): Promise<string> {
  const key = keyOf(request.scopes);
  const fetchNew = (): Promise<Token> => {
    const fetched = options.fetchToken(request.endpoint, request.realm, {
      scopes: [...new Set(request.asked ?? request.scopes)].sort(),
      credential: request.credential,
      action: request.action,
    });
    state.tokens.set(key, fetched);
    fetched.catch(() => state.tokens.get(key) === fetched && state.tokens.delete(key));
    return fetched;
  };
  const kept = state.tokens.get(key);
  const token = await (kept ?? fetchNew());
  if (kept === undefined || token.expiresAt > options.now()) return `Bearer ${token.value}`;
  // Whoever sees the expiry first asks; the others find the new promise.
  const fresh = state.tokens.get(key);
  return `Bearer ${(await (fresh === kept || fresh === undefined ? fetchNew() : fresh)).value}`;
}

/** Drops the token that was refused, unless somebody has a newer one already. */
async function forgetToken(state: RegistryState, scopes: readonly Scope[], used: string | undefined): Promise<void> {
  const key = keyOf(scopes);
  const kept = state.tokens.get(key);
  if (kept === undefined || used === undefined) return;
  const { value } = await kept;
  if (used === `Bearer ${value}` && state.tokens.get(key) === kept) state.tokens.delete(key);
}

function keyOf(scopes: readonly Scope[]): string {
  return [...new Set(scopes)].sort().join(' ');
}
