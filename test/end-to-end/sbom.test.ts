/** `--sbom`: packages of real package managers, and what these say themselves. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertSpdx } from '../attestations/_spdx-rules.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', maxBuffer: 1 << 28 });

interface SpdxPackage {
  readonly name: string;
  readonly versionInfo?: string;
  readonly licenseDeclared: string;
  readonly externalRefs?: readonly { readonly referenceLocator: string }[];
}

async function packagesOf(name: string): Promise<SpdxPackage[]> {
  const document = JSON.parse(await world.succeed(['attestations', name, '--format', '{{json .SBOM.SPDX}}']));
  assertSpdx(document);
  return document.packages;
}

/** `name version` of the packages whose purl begins so, sorted. */
async function listed(name: string, type: string): Promise<string[]> {
  return (await packagesOf(name))
    .filter(({ externalRefs }) => externalRefs?.[0]?.referenceLocator.startsWith(`pkg:${type}/`))
    .map((each) => `${each.name} ${each.versionInfo}`)
    .sort();
}

/** The same headers in a Berkeley DB, as rpm kept them before. */
async function assertBerkeleyTheSame(root: string, expected: readonly string[]): Promise<void> {
  const place = path.join(root, 'var/lib/rpm');
  const rows = run('sqlite3', path.join(place, 'rpmdb.sqlite'), 'SELECT printf(" %08x", hnum), " " || lower(hex(blob)) FROM Packages;');
  const header = 'VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n';
  execFileSync('db5.3_load', [path.join(place, 'Packages')], { input: `${header}${rows.replaceAll('|', '\n')}DATA=END\n` });
  for (const name of readdirSync(place).filter((each) => each.startsWith('rpmdb'))) rmSync(path.join(place, name));
  await buildOf(root, 'bdb');
  assert.deepEqual(await listed('bdb', 'rpm/fedora'), expected);
}

/** Builds an image of a directory, with an SBOM. */
async function buildOf(directory: string, tag: string): Promise<string> {
  writeFileSync(path.join(directory, '..', `${tag}.Dockerfile`), 'FROM scratch\nCOPY . /\n');
  return await world.succeed(['build', '--sbom', '-f', path.join(directory, '..', `${tag}.Dockerfile`), '-t', tag, directory]);
}

describe('build --sbom', () => {
  test('lists of a Debian what dpkg-query lists', { timeout: 10 * 60_000 }, async () => {
    const rootfs = path.join(world.directory, 'debian.tar');
    execFileSync('scripts/debian-rootfs.sh', [rootfs], { stdio: 'inherit' });
    await world.succeed(['import', rootfs, 'debian:bookworm']);
    const context = world.context({
      Dockerfile: 'FROM debian:bookworm\nRUN --network=none dpkg-query -W > /packages\nCMD ["cat", "/packages"]\n',
    });
    await world.succeed(['build', '--sbom', '-t', 'deb:1', context]);
    const query = ['run', 'deb:1', 'dpkg-query', '-W', '-f', '$' + '{Package} $' + '{Version}\\n'];
    const expected = (await world.succeed(query)).split('\n').sort();
    assert.ok(expected.length > 80, `${expected.length} packages`);
    assert.deepEqual(await listed('deb:1', 'deb/debian'), expected);
    const packages = await packagesOf('deb:1');
    assert.equal(packages.find(({ name }) => name === 'debian')?.versionInfo, '12', 'the system itself');
    const dash = packages.find(({ name }) => name === 'tar');
    assert.match(dash?.externalRefs?.[0]?.referenceLocator ?? '', /^pkg:deb\/debian\/tar@[^?]+\?arch=\w+&distro=debian-12$/);
    assert.equal(packages.find(({ name }) => name === 'zlib1g')?.licenseDeclared, 'Zlib');
  });

  test('lists of an rpm database what rpm -qa lists', async () => {
    const top = path.join(world.directory, 'rpm');
    const root = path.join(top, 'root');
    mkdirSync(root, { recursive: true });
    const define = ['--define', `_topdir ${top}/build`, '--define', '_dbpath /var/lib/rpm', '--define', '_db_backend sqlite'];
    for (let i = 0; i < 30; i++) {
      const spec = path.join(top, `p${i}.spec`);
      // Long texts make rows that go on in further pages.
      const description = 'word '.repeat(i * 400);
      const epoch = i % 3 === 0 ? `Epoch: ${i + 1}\n` : '';
      writeFileSync(
        spec,
        `Name: p${i}\nVersion: 1.${i}\nRelease: ${i}\n${epoch}Summary: Package ${i}\nLicense: GPLv2+ and MIT\nVendor: Tests\nURL: https://example.com/\nBuildArch: noarch\n%description\n${description}\n%files\n`,
      );
      run('rpmbuild', ...define, '--target', 'noarch', '--quiet', '-bb', spec);
    }
    const rpms = run('find', `${top}/build/RPMS`, '-name', '*.rpm').trim().split('\n');
    run('rpm', ...define, '--root', root, '--nodeps', '--noscripts', '--ignorearch', '--ignoreos', '-i', ...rpms);
    mkdirSync(path.join(root, 'etc'), { recursive: true });
    writeFileSync(path.join(root, 'etc/os-release'), 'ID=fedora\nVERSION_ID=40\n');
    await buildOf(root, 'rpm');
    const expected = run('rpm', ...define, '--root', root, '-qa', '--qf', '%{NAME} %{VERSION}-%{RELEASE}\\n')
      .trim()
      .split('\n')
      .sort();
    assert.equal(expected.length, 30);
    assert.deepEqual(await listed('rpm', 'rpm/fedora'), expected);
    const found = (await packagesOf('rpm')).find(({ name }) => name === 'p3');
    assert.equal(
      found?.externalRefs?.[0]?.referenceLocator,
      'pkg:rpm/fedora/p3@1.3-3?arch=noarch&distro=fedora-40&epoch=4&upstream=p3-1.3-3.src.rpm',
    );
    assert.equal(found?.licenseDeclared, 'GPL-2.0-or-later AND MIT');
    await assertBerkeleyTheSame(root, expected);
  });

  test('lists of node_modules what npm ls lists', async () => {
    const project = path.join(world.directory, 'npm/app');
    const modules = path.join(project, 'node_modules');
    mkdirSync(modules, { recursive: true });
    for (const name of ['minimatch', 'brace-expansion', 'balanced-match', 'tar-stream', 'b4a', 'fast-fifo', 'streamx', 'yaml', 'commander'])
      cpSync(path.resolve('node_modules', name), path.join(modules, name), { recursive: true, dereference: true });
    writeFileSync(path.join(project, 'package.json'), '{"name":"app","version":"1.0.0"}');
    const inner = path.join(modules, 'yaml/node_modules/@scope/inner');
    mkdirSync(inner, { recursive: true });
    writeFileSync(path.join(inner, 'package.json'), '{"name":"@scope/inner","version":"0.0.1-beta+1","license":"ISC"}');
    await buildOf(project, 'npm');
    // It complains of packages that nobody asked for, and lists them all the same.
    const output = execFileSync('sh', ['-c', 'npm ls --all --json --prefix "$0" 2> /dev/null || true', project], { encoding: 'utf8' });
    // What others ask for, too, is listed once more there, and what is missing without a version.
    assert.deepEqual(await listed('npm', 'npm'), [...new Set(namesIn(JSON.parse(output)))].sort());
  });

  test('lists of Python what pip lists', async () => {
    const places = run('/usr/bin/python3', '-c', 'import json, site; print(json.dumps(site.getsitepackages()))');
    const root = path.join(world.directory, 'python/root');
    const target = path.join(root, 'usr/lib/python3/dist-packages');
    mkdirSync(target, { recursive: true });
    const copies = (JSON.parse(places) as string[]).map(
      (place) => `cp -r ${place}/*.dist-info ${place}/*.egg-info "$0" 2> /dev/null || true`,
    );
    run('sh', '-c', copies.join('\n'), target);
    await buildOf(root, 'python');
    const packages = JSON.parse(run('/usr/bin/python3', '-m', 'pip', 'list', '--path', target, '--format', 'json')) as {
      name: string;
      version: string;
    }[];
    const normal = (each: string): string => each.toLowerCase().replace(/[-_.]+/g, '-');
    const expected = packages.map(({ name, version }) => normal(`${name}`).concat(' ', version)).sort();
    assert.ok(expected.length >= 3, 'python3-pip brings some');
    const found = (await listed('python', 'pypi')).map((line) => normal(line.split(' ')[0] ?? '').concat(' ', line.split(' ')[1] ?? ''));
    assert.deepEqual(found.sort(), expected);
  });

  test('looks at stages and the context where ARGs say so, and is the same again', async () => {
    const Dockerfile = `ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM busybox AS build
ARG BUILDKIT_SBOM_SCAN_STAGE=build
COPY a /app/node_modules/a/
FROM busybox AS other
COPY a /app/node_modules/never/
FROM scratch
COPY --from=build /app/node_modules/a/index.js /
COPY --from=other /app/node_modules/never/index.js /b.js
`;
    const context = world.context({
      Dockerfile,
      'a/package.json': '{"name":"a","version":"1.0.0"}',
      'a/index.js': '',
      'node_modules/c/package.json': '{"name":"c","version":"2.0.0"}',
    });
    const flags = ['build', '--sbom', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', 'type=image,rewrite-timestamp=true'];
    const digest = await world.succeed([...flags, '-t', 'scan:1', context]);
    const [image] = JSON.parse(await world.succeed(['attestations', 'scan:1']));
    const documents = image.statements.map(({ predicate }: { predicate: object }) => predicate);
    for (const document of documents) assertSpdx(document);
    assert.deepEqual(
      documents.map(({ name, packages }: { name: string; packages: SpdxPackage[] }) => [
        name,
        ...packages.slice(1).map((each) => each.name),
      ]),
      [['stage-2'], ['build', 'a'], ['context', 'c']],
    );
    assert.equal(documents[0].creationInfo.created, '2023-11-14T22:13:20Z');
    const other = path.join(world.directory, 'other-state');
    await world.succeed(['import', path.join(world.directory, 'busybox.tar'), 'busybox:latest'], { root: other });
    assert.equal(await world.succeed([...flags, '-t', 'scan:1', context], { root: other }), digest);
    const tar = path.join(world.directory, 'scan.tar');
    await world.succeed(['build', '--sbom', '--build-arg', 'BUILDKIT_SBOM_SCAN_STAGE=false', '-o', `type=tar,dest=${tar}`, context]);
    assert.deepEqual(run('tar', '-tf', tar).trim().split('\n').sort(), ['b.js', 'index.js', 'sbom-context.spdx.json', 'sbom.spdx.json']);
  });

  test('refuses generators', async () => {
    const { code, stderr } = await world.tsbuild(['build', '--sbom=generator=docker/scout-sbom-indexer', '.']);
    assert.equal(code, 1);
    assert.match(stderr, /ERR_TSBUILD_UNSUPPORTED.*generator/);
  });
});

interface Listed {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, Listed>>;
}

function namesIn({ dependencies = {} }: Listed): string[] {
  return Object.entries(dependencies).flatMap(([name, each]) => [
    ...(each.version === undefined ? [] : [`${name} ${each.version}`]),
    ...namesIn(each),
  ]);
}
