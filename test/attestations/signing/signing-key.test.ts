/** Keys of openssl, and openssl as the judge of what they sign. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { signingKey, verifyingKey } from '../../../src/attestations/signing/signing-key.ts';
import { temporaryDirectory } from '../../registry/_temporary.ts';

const directory = temporaryDirectory();
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => path.join(directory, name);
const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe', cwd: directory });
const PAYLOAD = Buffer.from('{"critical":{}}');

const KINDS: Readonly<Record<string, string[]>> = {
  p256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  p384: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ed25519: ['-algorithm', 'ED25519'],
};

test('signingKey() signs what openssl verifies, with every kind of key', () => {
  writeFileSync(at('payload'), PAYLOAD);
  for (const [name, kind] of Object.entries(KINDS)) {
    openssl('genpkey', ...kind, '-out', `${name}.pem`);
    openssl('pkey', '-in', `${name}.pem`, '-pubout', '-out', `${name}.pub`);
    const key = signingKey(readFileSync(at(`${name}.pem`)), undefined);
    const signature = key.sign(PAYLOAD);
    writeFileSync(at('signature'), signature);
    const judged =
      name === 'ed25519'
        ? openssl('pkeyutl', '-verify', '-pubin', '-inkey', `${name}.pub`, '-rawin', '-in', 'payload', '-sigfile', 'signature')
        : openssl('dgst', '-sha256', '-verify', `${name}.pub`, '-signature', 'signature', 'payload');
    assert.match(judged, /Verified OK|Verified Successfully/, name);
    const verifier = verifyingKey(readFileSync(at(`${name}.pub`)));
    assert.equal(verifier.verifies(PAYLOAD, signature), true);
    assert.equal(verifier.verifies(Buffer.concat([PAYLOAD, PAYLOAD]), signature), false);
    assert.equal(verifier.verifies(PAYLOAD, Buffer.from('junk')), false);
  }
});

test('signingKey() takes keys with a passphrase, and older forms of PEM', () => {
  openssl('pkcs8', '-topk8', '-in', 'p256.pem', '-out', 'locked.pem', '-passout', 'pass:s3cret');
  openssl('ec', '-in', 'p256.pem', '-out', 'sec1.pem');
  const open = signingKey(readFileSync(at('locked.pem')), Buffer.from('s3cret'));
  assert.equal(verifyingKey(readFileSync(at('p256.pub'))).verifies(PAYLOAD, open.sign(PAYLOAD)), true);
  assert.equal(signingKey(readFileSync(at('sec1.pem')), undefined).verifies(PAYLOAD, open.sign(PAYLOAD)), true);
});

test('keys that cannot be used are told why, and nothing of what is in them', () => {
  openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024', '-out', 'short.pem');
  openssl('genpkey', '-algorithm', 'X25519', '-out', 'x25519.pem');
  const read = (name: string): Buffer => readFileSync(at(name));
  const cosign = Buffer.from('-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJrZGYi\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n');
  const damaged = Buffer.from(
    read('p256.pem')
      .toString()
      .replace(/\n[A-Za-z0-9+/]{20}/, '\nsecretsecretsecretse'),
  );
  const refusals: [() => unknown, RegExp][] = [
    [() => signingKey(read('locked.pem'), undefined), /it has a passphrase/],
    [() => signingKey(read('locked.pem'), Buffer.from('wrong')), /its passphrase is another one/],
    [() => signingKey(cosign, undefined), /encrypted form of cosign/],
    [() => signingKey(damaged, undefined), /no key in PEM|neither ECDSA/],
    [() => signingKey(read('short.pem'), undefined), /RSA of 2048 bits or more/],
    [() => signingKey(read('x25519.pem'), undefined), /neither ECDSA/],
    [() => signingKey(read('p256.pub'), undefined), /no key in PEM/],
    [() => verifyingKey(read('p256.pem')), /it is a private key/],
    [() => verifyingKey(Buffer.from('no')), /no key in PEM/],
  ];
  const secrets = read('p256.pem')
    .toString()
    .split('\n')
    .filter((line) => /^[A-Za-z0-9+/=]{16,}$/.test(line));
  for (const [attempt, message] of refusals) {
    assert.throws(attempt, (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'ERR_TSBUILD_KEY_INVALID');
      assert.match(error.message, message);
      const told = `${error.message} ${error.hint} ${error.stack} ${String(error.cause)}`;
      assert.equal([...secrets, 's3cret', 'wrong', 'secretsecret'].filter((each) => told.includes(each)).length, 0);
      return true;
    });
  }
});
