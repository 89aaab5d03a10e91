/** Certificates by openssl: self-signed ones, and authorities that sign others. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './_temporary.ts';

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

export function makeCertificate(options: { subjectAltName?: string; days?: number } = {}): CertificateFiles {
  const home = temporaryDirectory();
  const [certificate, key] = [join(home, 'certificate.pem'), join(home, 'key.pem')];
  const days = String(options.days ?? 2);
  const name = ['-subj', '/CN=tsbuild-test', '-addext', `subjectAltName=${options.subjectAltName ?? 'IP:127.0.0.1'}`];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', days, '-keyout', key, '-out', certificate, ...name], {
    stdio: 'ignore',
  });
  return { certificate, key };
}

export interface Issued {
  /** `leaf`: for servers and clients. `authority`: signs others. */
  readonly kind?: 'leaf' | 'authority';
  readonly subjectAltName?: string;
  /** Days from now on; negative ones are past. */
  readonly from?: number;
  readonly until?: number;
}

export interface Authority extends CertificateFiles {
  issue(options?: Issued): CertificateFiles;
  /** An authority between this one and what it signs. */
  intermediate(): Authority;
}

/** Its certificate is one of nobody but itself. */
export function makeAuthority(): Authority {
  return authorityOf(sign(undefined, { kind: 'authority' }));
}

function authorityOf(files: CertificateFiles): Authority {
  return {
    ...files,
    issue: (options = {}) => sign(files, options),
    intermediate: () => authorityOf(sign(files, { kind: 'authority' })),
  };
}

/** `openssl ca`, since it alone takes dates that are past. */
function sign(
  issuer: CertificateFiles | undefined,
  { kind = 'leaf', subjectAltName = 'IP:127.0.0.1', from = -1, until = 2 }: Issued,
): CertificateFiles {
  const home = mkdtempSync(join(temporaryDirectory(), 'ca-'));
  const [certificate, key, request, config] = ['certificate.pem', 'key.pem', 'request.pem', 'ca.cnf'].map((name) => join(home, name)) as [
    ...[string, string, string, string],
  ];
  const extensions =
    kind === 'authority'
      ? 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign'
      : `basicConstraints=CA:FALSE\nsubjectAltName=${subjectAltName}`;
  writeFileSync(join(home, 'index'), '');
  writeFileSync(
    config,
    `[ca]\ndefault_ca=a\n[a]\nnew_certs_dir=${home}\ndatabase=${home}/index\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\n${extensions}\n`,
  );
  const subject = `/CN=tsbuild ${kind} ${Math.random().toString(36).slice(2)}`;
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  openssl(
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    key,
    '-out',
    request,
    '-subj',
    subject,
  );
  const signer = issuer === undefined ? ['-selfsign', '-keyfile', key] : ['-cert', issuer.certificate, '-keyfile', issuer.key];
  const dates = ['-startdate', dateIn(from), '-enddate', dateIn(until)];
  openssl('ca', '-batch', '-notext', '-config', config, '-in', request, '-out', certificate, ...dates, ...signer);
  return { certificate, key };
}

function dateIn(days: number): string {
  const date = new Date(Date.now() + days * 86_400_000).toISOString();
  return `${date.slice(0, 19).replace(/[-T:]/g, '')}Z`;
}

/** The files' text, one after the other: a chain. */
export function chain(...files: CertificateFiles[]): string {
  return files.map(({ certificate }) => readFileSync(certificate, 'utf8')).join('');
}
