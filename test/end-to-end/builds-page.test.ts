import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { BuildRecord } from '../../src/index.ts';
import { buildPage } from '../../src/page/build-page.ts';
import { type Browser, openBrowser, type Page, pixelsOf } from './_chromium.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let browser: Browser;
/** Of a build with everything: stages, a miss, cached steps, logs, waste. */
let file: string;

const ATTACK = `</script></style></title></pre>--><script>window.hacked = 1; document.title = 'hacked'</script><img src=x onerror="window.hacked = 2"><a href="javascript:window.hacked=3">x</a>`;

before(async () => {
  world = await makeWorld();
  browser = await openBrowser();
  const context = world.context({
    'src/a.ts': 'a',
    'src/<img src=x onerror=window.hacked=4>\x1b[2J\u202e.txt': 'b',
    Dockerfile: [
      'FROM busybox AS tools',
      'RUN head -c 700000 /dev/zero > /tool; sleep 0.3',
      'FROM busybox AS docs',
      'RUN sleep 0.1; echo docs > /docs',
      'FROM busybox',
      'COPY --from=tools /tool /tool',
      'COPY --from=docs /docs /docs',
      'COPY src /src',
      `RUN printf '\\033[1;31mred\\033[0m plain\\n'; echo '${ATTACK.replaceAll("'", '"')}'; \\`,
      '    rm /tool; sleep 0.2',
      'RUN head -c 300000 /dev/zero > /junk',
      'RUN rm /junk',
    ].join('\n'),
  });
  await world.succeed(['-t', 'page:1', context]);
  writeFileSync(path.join(context, 'src/a.ts'), 'c');
  await world.succeed(['-t', 'page:1', context]);
  file = await world.succeed(['builds', 'open']);
});
after(async () => {
  await browser?.[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

const texts = async (page: Page, selector: string) =>
  await page.evaluate<string[]>(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].map((each) => each.textContent.replace(/\\s+/g, ' ').trim())`,
  );

/** No script of somebody else ran, and nothing left the page. */
async function isClean(page: Page, opened: string): Promise<void> {
  assert.equal(await page.evaluate('window.hacked === undefined && document.documentElement.dataset.ready'), 'true');
  assert.deepEqual(page.requests, [`file://${opened}`]);
  assert.deepEqual(page.complaints, []);
  assert.equal(
    await page.evaluate(
      'document.scripts.length + document.images.length + document.querySelectorAll("iframe, object, link, [onerror], [style]").length',
    ),
    1,
  );
}

test('builds open writes one page that shows stages, times, reasons, logs, layers and waste', async () => {
  assert.equal(path.basename(file), 'page.html');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const page = await browser.open(file);
  await isClean(page, file);
  assert.equal(await page.evaluate('document.title'), 'page:1: done');
  const record = JSON.parse(await world.succeed(['builds', 'inspect', '--format', 'json'])) as BuildRecord;
  const steps = record.stages.flatMap((stage) => stage.steps);
  assert.equal((await texts(page, 'details.step')).length, steps.length);
  assert.deepEqual(await texts(page, '.node .name'), ['tools', 'docs', 'stage-2', 'busybox:latest', 'context']);
  assert.equal((await texts(page, 'path.edge')).length, 6);
  const bars = await page.evaluate<{ state: string; x: number; width: number }[]>(
    `[...document.querySelectorAll('.bar:not(.transfer)')].map((bar) => ({ state: bar.className, ...Object.fromEntries(['x', 'width'].map((name) => [name, Number(bar.querySelector('rect').getAttribute(name))])) }))`,
  );
  assert.ok(bars.length >= 8 && bars.every(({ x, width }) => x >= 0 && width > 0 && x + width <= 1000));
  assert.ok(bars.some(({ state }) => state.includes('cached')) && bars.filter(({ state }) => state.includes('critical')).length >= 3);
  assert.ok((await texts(page, '.why li')).includes('src/a.ts changed'));
  assert.deepEqual(await texts(page, 'pre.log .c-red.c-bold'), ['red']);
  assert.ok((await texts(page, 'pre.log')).some((log) => log.includes('<script>window.hacked = 1;')));
  const wasted = await texts(page, '.wasted tbody tr');
  assert.ok(wasted.includes('/tool2deleted in layer 5700kB') && wasted.includes('/junk6deleted in layer 7300kB'), wasted.join('\n'));
  assert.match((await texts(page, '#layers .lead'))[0] ?? '', /1\.00MB are hidden by later layers: an efficiency of \d\d\.\d%/);
  assert.ok((await texts(page, '.layer td code')).some((name) => name === '/src/<img src=x onerror=window.hacked=4>\\x1b[2J\\u202e.txt'));
});

test('the page filters, unfolds and follows links', async () => {
  const page = await browser.open(file);
  const visible = 'details.step:not([hidden])';
  await page.evaluate(`document.querySelector('[data-show=cached]').click()`);
  assert.deepEqual(await page.evaluate(`[...new Set([...document.querySelectorAll('${visible}')].map((step) => step.dataset.state))]`), [
    'cached',
  ]);
  assert.match((await texts(page, '#found'))[0] ?? '', /^\d steps$/);
  await page.evaluate(
    `document.querySelector('[data-show=all]').click(); filter.value = 'SRC/A.TS'; filter.dispatchEvent(new Event('input'))`,
  );
  assert.deepEqual(await texts(page, `${visible} .instruction`), ['COPY src /src']);
  await page.evaluate(`document.querySelector('.path a').click()`);
  await page.evaluate('new Promise((resolve) => setTimeout(resolve, 100))');
  assert.equal(
    await page.evaluate(
      `document.querySelector(location.hash).open && !document.querySelector(location.hash).hidden && document.activeElement.tagName`,
    ),
    'SUMMARY',
  );
  await page.evaluate(`unfold.click()`);
  assert.equal(await page.evaluate(`document.querySelectorAll('details.step:not([open])').length`), 0);
});

test('the page is drawn in light, in dark and on a phone, with enough contrast and landmarks', async () => {
  const looks = [{ scheme: 'light' }, { scheme: 'dark' }, { scheme: 'light', width: 390 }] as const;
  const papers = new Set<string>();
  for (const look of looks) {
    const page = await browser.open(file, look);
    await page.evaluate(`document.querySelectorAll('details').forEach((each) => { each.open = true; })`);
    const width = 'width' in look ? look.width : 1280;
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, 'nothing sticks out');
    const pixels = pixelsOf(await page.screenshot());
    assert.ok(pixels.width === width && pixels.height > 2000, `${pixels.width} × ${pixels.height}`);
    assert.ok(pixels.colours.size > 100, `${pixels.colours.size} colours`);
    papers.add([...pixels.colours].reduce((most, each) => (each[1] > most[1] ? each : most))[0]);
    assert.ok((pixels.colours.get(look.scheme === 'dark' ? '#5cc8cd' : '#0a6c74') ?? 0) > 2000, 'the critical path is drawn');
    assert.deepEqual(await page.evaluate(LOW_CONTRAST), []);
  }
  assert.deepEqual([...papers], ['#fbfbf9', '#131517']);
  const page = await browser.open(file);
  assert.deepEqual(
    await page.evaluate(`['header', 'nav', 'main', 'footer', 'h1'].map((name) => document.querySelectorAll(name).length)`),
    [1, 1, 1, 1, 1],
  );
  const levels = await page.evaluate<number[]>(`[...document.querySelectorAll('h1, h2, h3, h4')].map(({ tagName }) => Number(tagName[1]))`);
  assert.ok(
    levels.every((level, i) => level <= (levels[i - 1] ?? 0) + 1),
    levels.join(' '),
  );
  assert.equal(await page.evaluate(`document.querySelectorAll('svg:not([aria-label]):not([aria-hidden])').length`), 0);
});

/** Texts that stand out from what is behind them less than WCAG 2.2 asks (1.4.3): 4.5 to 1, large ones 3 to 1. */
const LOW_CONTRAST = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const isText = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== '');
    if (!isText || node.closest('svg, script') !== null || node.getClientRects().length === 0) continue;
    const style = getComputedStyle(node);
    const [light, dark] = [luminance(channels(style.color)), luminance(behind(node))].sort((a, b) => b - a);
    const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if ((light + 0.05) / (dark + 0.05) < least) low.push(node.className + ' ' + node.textContent.slice(0, 40) + ' ' + ((light + 0.05) / (dark + 0.05)).toFixed(2));
  }
  return low;
})()`;

test('a record whose every word is hostile runs no script, and asks nothing of anybody', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const word = `"'>${ATTACK}<img src="http://127.0.0.1:${port}/"><link rel=stylesheet href=http://127.0.0.1:${port}/a><meta http-equiv=refresh content="0;url=http://127.0.0.1:${port}/">\x00\x1b]0;x\x07\u202e`;
  const honest = JSON.parse(await world.succeed(['builds', 'inspect', '--format', 'json'])) as BuildRecord;
  const kept = /^(?:kind|state|action|outcome|startedAt|mode|how|change)$/;
  const hostile = (value: unknown, name = ''): unknown => {
    if (typeof value === 'string') return kept.test(name) ? value : `${value}${word}`;
    if (Array.isArray(value)) return value.map((item) => hostile(item));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hostile(item, key)]));
  };
  const record = hostile({
    ...honest,
    error: { code: 'E', message: 'm', hint: 'h', excerpt: 'e' },
    warnings: [{ message: 'w', rule: 'r', hint: 'h' }],
  }) as BuildRecord;
  const ids = record.stages.flatMap((stage) => stage.steps.map(({ id }) => id));
  const logs = new Map(ids.map((id) => [id, { text: `\x1b[31m${word}\n${word}`, leftOut: 1 }]));
  const wasted = { path: word, bytes: 5, layer: 0, by: 1, how: 'deleted' as const };
  const layers = [
    { kind: 'read' as const, files: 1, bytes: 5, wasted: 5, largest: [{ path: word, bytes: 5 }] },
    { kind: 'unread' as const, why: word },
  ];
  const images = [{ platform: word, layers, wasted: [wasted], bytes: 5, wastedBytes: 5, isWhole: true }];
  const opened = path.join(world.directory, 'hostile.html');
  writeFileSync(opened, buildPage({ record, logs, images, madeAt: new Date().toISOString() }));
  const page = await browser.open(opened);
  await page.evaluate(`document.querySelectorAll('details').forEach((each) => { each.open = true; })`);
  await isClean(page, opened);
  // Even what ran inside could send nothing.
  await page.evaluate(
    `Promise.all([fetch('http://127.0.0.1:${port}/').catch(() => {}), new Promise((resolve) => { const image = new Image(); image.onerror = image.onload = resolve; image.src = 'http://127.0.0.1:${port}/i'; })])`,
  );
  assert.equal(asked, 0);
  assert.ok(page.complaints.length > 0, 'the policy said no');
  server.close();
});

test('builds open says of layers that are gone that they are, and writes where it is told', async () => {
  const record = JSON.parse(await world.succeed(['builds', 'inspect', '--format', 'json'])) as BuildRecord;
  rmSync(path.join(world.root, 'blobs/sha256', record.images[0]?.layers[2]?.digest.slice(7) ?? ''));
  const there = path.join(world.directory, 'out.html');
  assert.equal(await world.succeed(['builds', 'open', '-o', there]), there);
  const page = await browser.open(there);
  const gone = (await texts(page, '.layer .inside')).map((text) => text.includes('not in the store any more'));
  assert.deepEqual(gone, [false, false, true, false, false, false, false]);
  assert.match((await texts(page, '#layers .note'))[0] ?? '', /^A layer is not in the store any more/);
  assert.match((await texts(page, '.tiles'))[0] ?? '', /as far as is known/);
  const failed = await world.tsbuild(['builds', 'open', '-o', path.join(world.directory, 'none/x.html')]);
  assert.match(failed.stderr, /ERR_TSBUILD_EXPORT_FAILED: Cannot write the page .*: ENOENT/);
  assert.ok(!readFileSync(there, 'utf8').includes(world.root));
});
