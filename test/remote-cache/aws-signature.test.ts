import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { EMPTY_SHA256, encodeKey, signedHeaders } from '../../src/remote-cache/aws-signature.ts';

/** The examples of AWS's own manual, "Signature Calculations for the Authorization Header", with the signatures that it gives. */
const EXAMPLES = [
  {
    ...{ method: 'GET', path: '/test.txt', headers: { range: 'bytes=0-9' }, bodySha256: EMPTY_SHA256 },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    ...{ method: 'PUT', path: '/test%24file.text', bodySha256: createHash('sha256').update('Welcome to Amazon S3.').digest('hex') },
    headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    ...{ method: 'GET', path: '/?lifecycle', headers: {}, bodySha256: EMPTY_SHA256 },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    ...{ method: 'GET', path: '/?max-keys=2&prefix=J', headers: {}, bodySha256: EMPTY_SHA256 },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

test('signedHeaders() gives the signatures of the manual', () => {
  for (const { method, path, headers, bodySha256, signature } of EXAMPLES) {
    const { authorization } = signedHeaders(
      { method, url: new URL(`https://examplebucket.s3.amazonaws.com${path}`), headers, bodySha256 },
      {
        credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
        region: 'us-east-1',
        now: new Date('2013-05-24T00:00:00Z'),
      },
    );
    assert.match(authorization ?? '', new RegExp(`Signature=${signature}$`), path);
  }
});

test('encodeKey() leaves nothing that a server could read in another way', () => {
  assert.equal(encodeKey("a/b c/sha256:00'(!*)é+"), 'a/b%20c/sha256%3A00%27%28%21%2A%29%C3%A9%2B');
});
