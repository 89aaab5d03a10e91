/** What is known of a build → SLSA's predicate, version 0.2 or 1. Source: slsa.dev provenance v0.2 and v1; fields of BuildKit's: its "SLSA definitions". */
import type { ProvenanceRequest } from './attestation-request.ts';
import type { BuildFacts } from './build-facts.ts';
import { hideCredentials, hideCredentialsIn } from './hide-credentials.ts';
import { PREDICATE_TYPE, type Predicate } from './statement.ts';

/** Says how to read `parameters` and `buildConfig`: docs/attestations.md. */
const BUILD_TYPE = 'urn:tsbuild:build:v1';
const FRONTEND = 'dockerfile.v0';
const BUILDKIT = 'https://mobyproject.org/buildkit@v1';

/** Same facts, same bytes. Credentials of addresses are taken out. */
export function provenance(facts: BuildFacts, request: ProvenanceRequest): Predicate {
  const isV1 = request.version === 'v1';
  return {
    type: isV1 ? PREDICATE_TYPE.slsa1 : PREDICATE_TYPE.slsa02,
    body: isV1 ? slsa1(facts, request) : slsa02(facts, request),
    fileName: request.fileName ?? 'provenance.json',
    inFiles: request.inlineOnly !== true,
  };
}

function slsa02(facts: BuildFacts, request: ProvenanceRequest): object {
  const { invocation, source, entryPoint } = facts;
  const isMax = request.mode === 'max';
  return {
    builder: { id: request.builderId ?? '' },
    buildType: BUILD_TYPE,
    materials: facts.materials,
    invocation: {
      configSource: { ...(source ?? {}), ...(entryPoint === undefined ? {} : { entryPoint: hideCredentials(entryPoint) }) },
      parameters: parameters(facts, request),
      environment: { platform: facts.builderPlatform },
    },
    ...(isMax ? { buildConfig: buildConfig(facts) } : {}),
    metadata: {
      ...(invocation === undefined
        ? {}
        : { buildInvocationID: invocation.id, buildStartedOn: invocation.startedAt, buildFinishedOn: invocation.finishedAt }),
      completeness: { parameters: areParametersTold(facts, request), environment: true, materials: isMaterialComplete(facts) },
      reproducible: request.reproducible === true,
      ...(isHermetic(facts) ? { [`${BUILDKIT}#hermetic`]: true } : {}),
      [`${BUILDKIT}#metadata`]: isMax ? metadata(facts) : {},
    },
  };
}

function slsa1(facts: BuildFacts, request: ProvenanceRequest): object {
  const { invocation, source, entryPoint } = facts;
  const isMax = request.mode === 'max';
  return {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        configSource: { ...(source ?? {}), ...(entryPoint === undefined ? {} : { path: hideCredentials(entryPoint) }) },
        request: parameters(facts, request),
      },
      internalParameters: { builderPlatform: facts.builderPlatform, ...(isMax ? { buildConfig: buildConfig(facts) } : {}) },
      resolvedDependencies: facts.materials,
    },
    runDetails: {
      builder: { id: request.builderId ?? '' },
      metadata: {
        ...(invocation === undefined
          ? {}
          : { invocationId: invocation.id, startedOn: invocation.startedAt, finishedOn: invocation.finishedAt }),
        buildkit_completeness: { request: areParametersTold(facts, request), resolvedDependencies: isMaterialComplete(facts) },
        buildkit_reproducible: request.reproducible === true,
        ...(isHermetic(facts) ? { buildkit_hermetic: true } : {}),
        buildkit_metadata: isMax ? metadata(facts) : {},
      },
    },
  };
}

function parameters(facts: BuildFacts, { mode }: ProvenanceRequest): object {
  const mounted = (mounts: BuildFacts['secrets']): object[] =>
    mounts.map(({ id, isOptional }) => ({ id, ...(isOptional ? { optional: true } : {}) }));
  const args = {
    ...(facts.target === undefined ? {} : { target: facts.target }),
    ...(mode === 'max' ? hideCredentialsIn(facts.args) : {}),
  };
  return {
    frontend: FRONTEND,
    args,
    ...(mode === 'max' && facts.secrets.length > 0 ? { secrets: mounted(facts.secrets) } : {}),
    ...(mode === 'max' && facts.ssh.length > 0 ? { ssh: mounted(facts.ssh) } : {}),
    locals: facts.locals.map((name) => ({ name })),
  };
}

function buildConfig({ steps }: BuildFacts): object {
  return { steps: steps.map(({ lines: _, ...step }) => hideCredentialsIn(step)) };
}

/** In the shape of BuildKit's, so that what reads that finds source, places and layers. */
function metadata({ dockerfile, steps, layers }: BuildFacts): object {
  const locations = steps.map(({ id, lines }) => [
    id,
    { locations: [{ ranges: [{ start: { line: lines.start }, end: { line: lines.end } }] }] },
  ]);
  const { name, text } = dockerfile;
  const data = Buffer.from(hideCredentials(text)).toString('base64');
  const made = [...layers].map(([id, descriptors]) => [`${id}:0`, [descriptors]]);
  return {
    source: { infos: [{ filename: hideCredentials(name), language: 'Dockerfile', data }], locations: Object.fromEntries(locations) },
    ...(made.length === 0 ? {} : { layers: Object.fromEntries(made) }),
  };
}

function areParametersTold({ isEveryArgTold }: BuildFacts, { mode }: ProvenanceRequest): boolean {
  return mode === 'max' && isEveryArgTold;
}

/** Of files of this machine nobody knows where they come from. */
function isMaterialComplete({ locals }: BuildFacts): boolean {
  return locals.length === 0;
}

function isHermetic(facts: BuildFacts): boolean {
  return facts.isOffline && isMaterialComplete(facts);
}
