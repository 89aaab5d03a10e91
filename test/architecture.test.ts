import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, SOURCES } from './_sources.ts';

/** Room → rooms that it may import beside itself. The order is that of ARCHITECTURE.md. */
const RANK_0 = ['clock', 'errors', 'events', 'excerpt', 'go-boolean', 'text', 'oci', 'sealed-json'];
const RANK_1 = [...RANK_0, 'tree', 'sys', 'http'];
const RANK_3 = [...RANK_1, 'parser', 'context', 'layers', 'snapshots', 'store', 'cache', 'sandbox', 'images'];
const ENGINE = [...RANK_3, 'attestations', 'collection', 'registry', 'builder', 'exporters', 'remote-cache', 'records', 'page'];
const ALLOWED = new Map<string, readonly string[]>([
  ['clock', []],
  ['errors', []],
  ['excerpt', ['errors']],
  ['events', ['errors', 'oci']],
  ['go-boolean', []],
  ['text', ['errors', 'events']],
  ['sealed-json', []],
  ['oci', ['errors']],
  ['tree', ['errors']],
  ['sys', ['errors', 'tree']],
  ['http', ['errors']],
  ['parser', ['errors', 'text', 'oci']],
  ['context', RANK_1],
  ['layers', RANK_1],
  ['snapshots', RANK_1],
  ['store', RANK_1],
  ['cache', RANK_1],
  ['sandbox', RANK_1],
  ['records', RANK_1],
  ['page', ['errors', 'events', 'text', 'oci', 'records']],
  // Of the parser: the spelling of a name that is not known.
  ['registry', [...RANK_1, 'parser']],
  ['images', [...RANK_1, 'store', 'layers', 'snapshots', 'registry']],
  ['collection', [...RANK_1, 'store', 'snapshots', 'cache', 'images']],
  // Of the parser: the spelling of a name that is not known.
  ['attestations', [...RANK_1, 'parser', 'store', 'layers', 'snapshots', 'registry', 'images']],
  ['builder', [...RANK_3, 'attestations']],
  // Of the parser: the spelling of a name that is not known.
  ['exporters', [...RANK_3, 'attestations', 'registry']],
  // Of the exporters: how attributes are read, and how files appear when they are whole.
  ['remote-cache', [...RANK_3, 'registry', 'exporters']],
  ['default-root', []],
  ['read-version', []],
  ['compiled-code', ['default-root']],
  ['rootless', ['errors', 'sandbox', 'default-root']],
  ['operations', [...ENGINE, 'session', 'default-root', 'read-version']],
  ['session', [...ENGINE, 'default-root']],
  ['index', [...ENGINE, 'session', 'operations']],
  ['progress', RANK_0],
  ['cli', [...RANK_0, 'index', 'progress', 'rootless', 'read-version']],
]);

function roomOf(file: string): string {
  return (file.split('/')[1] ?? '').replace(/\.ts$/, '');
}

test('imports go one way: every room imports only what its rank allows', () => {
  const offences: string[] = [];
  let count = 0;
  for (const file of SOURCES) {
    const room = roomOf(file);
    const allowed = ALLOWED.get(room);
    if (allowed === undefined) offences.push(`${file}: the room ${room} has no rank`);
    for (const { target } of importsOf(file)) {
      count++;
      if (target.startsWith('src/') && roomOf(target) !== room && !allowed?.includes(roomOf(target))) offences.push(`${file} → ${target}`);
    }
  }
  assert.deepEqual(offences, []);
  assert.ok(count > 200, 'the imports were read at all');
});

test('no file imports itself by way of others at run time', () => {
  const done = new Set<string>();
  const visit = (file: string, chain: readonly string[]): void => {
    assert.ok(!chain.includes(file), `cycle: ${[...chain.slice(chain.indexOf(file)), file].join(' → ')}`);
    if (done.has(file)) return;
    for (const { target, kind } of importsOf(file)) if (kind === 'value' && target.startsWith('src/')) visit(target, [...chain, file]);
    done.add(file);
  };
  for (const file of SOURCES) visit(file, []);
});

test('only the rooms whose job it is reach the kernel, the network and the terminal', () => {
  const owners: [string, RegExp, RegExp][] = [
    ['koffi', /^koffi$/, /^src\/sys\//],
    // A Docker daemon of this machine is spoken to through its socket, which leads nowhere else.
    ['connections', /^(undici|node:(tls|https?|http2))$/, /^src\/(registry|context|remote-cache)\/|^src\/exporters\/docker-daemon\.ts$/],
    // The sandbox reads pipes through node:net; operations/run publishes ports; `http` compares addresses, and opens nothing.
    ['sockets', /^node:net$/, /^src\/(http|registry|context|sandbox|operations\/run)\//],
    ['datagrams', /^node:dgram$/, /^src\/operations\/run\//],
    ['listr2', /^(listr2|picocolors|log-update)$/, /^src\/progress\//],
    ['commander', /^commander$/, /^src\/cli\//],
    ['tar-stream', /^tar-stream$/, /^src\/(layers|exporters|images)\//],
  ];
  for (const [name, module, owner] of owners) {
    const offenders = SOURCES.filter(
      (file) => !owner.test(file) && importsOf(file).some(({ target, kind }) => kind !== 'type' && module.test(target)),
    );
    assert.deepEqual(offenders, [], name);
  }
});

test('what costs a start dearly is loaded only when it is needed', () => {
  const heavy = /^(undici|listr2|tar-stream|minimatch)$/;
  const lazily = new Set(['src/progress/listr-drawing.ts']);
  const offenders = SOURCES.flatMap((file) => importsOf(file).map((entry) => ({ file, ...entry }))).filter(
    ({ file, target, kind, when }) => heavy.test(target) && kind === 'value' && when === 'start' && !lazily.has(file),
  );
  assert.deepEqual(offenders, []);
  for (const file of SOURCES) {
    for (const { target, kind, when } of importsOf(file)) if (lazily.has(target) && kind === 'value') assert.equal(when, 'later', file);
  }
});
