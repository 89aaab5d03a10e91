/** Self-signed certificates by openssl. */
import { execFileSync } from 'node:child_process';
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
