/** The attestations of one build: what is told of the plan and of what happened, as statements about each output. */
import { randomBytes } from 'node:crypto';
import { type AttestationForm, checkSize, putAttestations } from '../attestations/attestation-manifest.ts';
import type { AttestationRequest, ProvenanceRequest, SbomRequest } from '../attestations/attestation-request.ts';
import type { BuildFacts } from '../attestations/build-facts.ts';
import { fileSubjects } from '../attestations/file-subjects.ts';
import { imagePurl } from '../attestations/package-url.ts';
import { provenance } from '../attestations/provenance.ts';
import { type Predicate, type Subject, statementBytes } from '../attestations/statement.ts';
import type { PlatformTree, TreeFile } from '../exporters/output.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { formatPlatform, normalizePlatform } from '../oci/platform.ts';
import type { Session } from '../session.ts';
import type { BuildOptions } from './build.ts';
import { buildSboms } from './build-sbom.ts';
import { type FinishedBuild, factsOf, layersOf, planAt, targetStates } from './finished-build.ts';

export interface Attester {
  /** The attestation manifest of one image of an output with these names. */
  ofImage(image: AssembledImage, position: number, output: ImageTarget): Promise<Descriptor>;
  /** Files that lie beside those of one platform. */
  ofFiles(tree: PlatformTree, position: number, output: FileTarget): Promise<readonly TreeFile[]>;
  /** Provenance alone, by platform. */
  provenances(mode: ProvenanceRequest['mode']): Promise<ReadonlyMap<string, object>>;
}

export interface ImageTarget {
  readonly request: AttestationRequest;
  readonly names: readonly string[];
  readonly form: AttestationForm;
  readonly sourceDateEpoch: number | undefined;
}

export interface FileTarget {
  readonly request: AttestationRequest;
  readonly prefix: string;
  readonly sourceDateEpoch: number | undefined;
  /** Every platform has a directory of its own. */
  readonly isSplit: boolean;
}

export function openAttester(session: Session, build: FinishedBuild, options: BuildOptions): Attester {
  const { resources, plans, stages } = build;
  const sboms = new Map<string, Promise<Predicate[]>>();
  const sbomsOf = (position: number, request: SbomRequest, created: string): Promise<Predicate[]> => {
    const key = JSON.stringify([position, request, created]);
    const scanning =
      sboms.get(key) ?? buildSboms({ plan: planAt(plans, position), stages: stages[position] ?? [], resources }, request, created);
    sboms.set(key, scanning);
    return scanning;
  };
  const invocation = { id: randomBytes(16).toString('hex'), startedAt: seconds(build.startedAt), finishedAt: seconds(new Date()) };
  const predicates = async (position: number, asked: Asked): Promise<Predicate[]> => {
    const { request, sourceDateEpoch } = asked;
    const all: Predicate[] = [];
    if (request.provenance !== undefined) {
      const facts = await factsOf(session, build, { position, options, layers: asked.layers });
      all.push(provenance({ ...facts, invocation: sourceDateEpoch === undefined ? invocation : undefined }, request.provenance));
    }
    return [...(request.sbom === undefined ? [] : await sbomsOf(position, request.sbom, asked.created)), ...all];
  };
  return {
    async ofImage(image, position, { request, names, form, sourceDateEpoch }) {
      const layers = await layersOf(session, build, { image, position, options });
      const subjects = imageSubjects(image, names);
      return await putAttestations(session.store, image.descriptor, {
        ...{
          subjects,
          form,
          predicates: await predicates(position, {
            request,
            sourceDateEpoch,
            layers,
            created: seconds(new Date(image.config.created ?? 0)),
          }),
        },
      });
    },
    async ofFiles({ platform, tree }, position, { request, prefix, sourceDateEpoch, isSplit }) {
      const created = seconds(sourceDateEpoch === undefined ? build.startedAt : new Date(sourceDateEpoch * 1000));
      const all = (await predicates(position, { request, sourceDateEpoch, created, layers: new Map() })).filter(({ inFiles }) => inFiles);
      const subjects = all.length === 0 ? [] : await fileSubjects(tree, session.signal);
      const place = build.plans.length > 1 && !isSplit ? `.${formatPlatform(platform).replaceAll('/', '_')}` : '';
      return all.map((predicate) => {
        const bytes = statementBytes(predicate, subjects);
        checkSize(predicate, bytes);
        return { name: `${prefix}${predicate.fileName.replace(/(?=\.[^.]*$)|$/, place)}`, bytes, seconds: sourceDateEpoch ?? 0 };
      });
    },
    async provenances(mode) {
      const all = new Map<string, object>();
      for (const [position, { imagePlatform }] of targetStates(build).entries()) {
        const facts = await factsOf(session, build, { position, options, layers: new Map() });
        const isRepeated = (options.buildArgs?.['SOURCE_DATE_EPOCH'] ?? '') !== '';
        const request = { version: options.attestations?.provenance?.version, mode };
        const { body } = provenance({ ...facts, invocation: isRepeated ? undefined : invocation }, request);
        all.set(formatPlatform(normalizePlatform(imagePlatform)), body);
      }
      return all;
    },
  };
}

interface Asked {
  readonly request: AttestationRequest;
  readonly sourceDateEpoch: number | undefined;
  /** When what is attested was made: RFC 3339. */
  readonly created: string;
  readonly layers: BuildFacts['layers'];
}

/** RFC 3339, without a fraction. */
function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

function imageSubjects({ descriptor, config }: AssembledImage, names: readonly string[]): Subject[] {
  const digest = { sha256: hexOf(descriptor.digest) };
  const purls = names.map((name) => imagePurl(name, config));
  return (purls.length === 0 ? ['_'] : [...new Set(purls)]).map((name) => ({ name, digest }));
}
