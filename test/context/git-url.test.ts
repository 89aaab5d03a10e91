import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isGitAddress, isRef, parseGitAddress } from '../../src/context/git-url.ts';
import { TsbuildError } from '../../src/errors.ts';

describe('isGitAddress', () => {
  test('tells repositories from files and downloads', () => {
    for (const text of [
      'git://h/x',
      'ssh://h/x',
      'git@h:x',
      'https://h/x.git',
      'http://h/x.git#a:b',
      'https://h/x.git?ref=a',
      'me@h:a/b.git',
    ])
      assert.ok(isGitAddress(text), text);
    for (const text of [
      'https://h/x',
      'https://h/x.git.tar',
      'https://h/x?y=.git',
      'x.git',
      './x.git',
      'a@b',
      '/x/y.git',
      'ext::sh -c x',
      'file:///x.git',
    ])
      assert.ok(!isGitAddress(text), text);
  });
});

describe('parseGitAddress', () => {
  test('takes credentials, fragment and query out of what git gets', () => {
    const { remote, host, credentials, ref, subdir } = parseGitAddress('https://me:p%40ss@Host:8443/a/b.git#feature/x:docs/api/');
    assert.deepEqual(
      { remote, host, credentials, ref, subdir },
      {
        ...{ remote: 'https://host:8443/a/b.git', host: 'host:8443', credentials: 'me:p@ss', ref: 'feature/x', subdir: 'docs/api' },
      },
    );
  });

  test('reads every key of the query', () => {
    const { refKind, ref, subdir, checksum, keepGitDir, submodules, mtime } = parseGitAddress(
      'https://h/x.git?branch=b&subdir=s&checksum=0123456&keep-git-dir&submodules=0&mtime=commit&fetch-by-commit=true',
    );
    assert.deepEqual(
      { refKind, ref, subdir, checksum, keepGitDir, submodules, mtime },
      {
        ...{ refKind: 'branch', ref: 'b', subdir: 's', checksum: '0123456', keepGitDir: true, submodules: false, mtime: 'commit' },
      },
    );
  });

  test('keeps the user of ssh, in both forms', () => {
    assert.equal(parseGitAddress('ssh://git@h:22/x.git').remote, 'ssh://git@h:22/x.git');
    assert.equal(parseGitAddress('git@h:a/x.git#v1').remote, 'git@h:a/x.git');
    assert.equal(parseGitAddress('git@h:a/x.git#v1').ref, 'v1');
  });

  test('refuses, without telling credentials, what is no address or could be taken for an option', () => {
    const bad = [
      'https://u:hidden@h/x.git#-o',
      'https://u:hidden@h/x.git?a=b',
      'https://u:hidden@-h/x.git',
      'git@h:-x',
      'git@-h:x',
      'ssh://-u@h/x',
    ];
    for (const text of [
      ...bad,
      'https://u:hidden@h/a b.git',
      'https://u:hidden@h/x.git#a\nb',
      'ftp://h/x.git',
      'https://h/x.git#a:b/../..',
    ]) {
      assert.throws(
        () => parseGitAddress(text),
        (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DOCKERFILE_SYNTAX' && !error.message.includes('hidden'),
        text,
      );
    }
  });
});

test('isRef refuses what git-check-ref-format(1) does, and what begins with a dash', () => {
  for (const ref of ['main', 'v1.2', 'feature/x', 'refs/pull/1/head', 'ümlaut']) assert.ok(isRef(ref), ref);
  for (const ref of [
    '',
    '-x',
    'a/-x',
    '--output=x',
    'a..b',
    'a b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[',
    'a\\b',
    '/a',
    'a/',
    'a.',
    '.a',
    'a/.b',
    'a.lock',
    'a.lock/b',
    '@',
    'a@{1}',
    'a//b',
    'a\x7f',
  ])
    assert.ok(!isRef(ref), ref);
});
