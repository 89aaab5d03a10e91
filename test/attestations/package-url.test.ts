import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imagePurl, packageUrl } from '../../src/attestations/package-url.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

test('imagePurl() names images as BuildKit does', () => {
  assert.equal(imagePurl('alpine:3.17', AMD64), 'pkg:docker/alpine@3.17?platform=linux%2Famd64');
  assert.equal(imagePurl('docker.io/library/alpine', AMD64), 'pkg:docker/alpine@latest?platform=linux%2Famd64');
  assert.equal(imagePurl('docker/dockerfile:1', AMD64), 'pkg:docker/docker/dockerfile@1?platform=linux%2Famd64');
  const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
  assert.equal(imagePurl('r.example:5000/a/b:1', arm), 'pkg:docker/r.example:5000/a/b@1?platform=linux%2Farm%2Fv7');
  const digest = `sha256:${'a'.repeat(64)}`;
  assert.equal(imagePurl(`x@${digest}`, AMD64), `pkg:docker/x?digest=${digest}&platform=linux%2Famd64`);
});

test('packageUrl() encodes what stands in names, and sorts qualifiers', () => {
  assert.equal(packageUrl({ type: 'npm', namespace: '@a', name: 'b', version: '1.0.0' }), 'pkg:npm/%40a/b@1.0.0');
  const deb = {
    type: 'deb',
    namespace: 'debian',
    name: 'libstdc++6',
    version: '1:2~3+deb12u1',
    qualifiers: { distro: 'debian-12', arch: 'amd64' },
  };
  assert.equal(packageUrl(deb), 'pkg:deb/debian/libstdc%2B%2B6@1:2~3%2Bdeb12u1?arch=amd64&distro=debian-12');
  assert.equal(packageUrl({ type: 'rpm', name: 'x', qualifiers: { a: undefined, b: '' } }), 'pkg:rpm/x');
});
