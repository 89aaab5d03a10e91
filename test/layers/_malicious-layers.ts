/** All malicious layers, unpacked one after the other; run as a program, it prints the counts. */

import { block, directory, END, file, link, pax, withBody } from './_archives.ts';
import { Arena, type Outcome } from './_arena.ts';

/** `x` and `l` stand for themselves; what leads out is in `BASE` or the layer before. */
const NAMES = [
  ...['x', '/x', '../x', '../../secret', '..', '/..', '.', 'x/..', 'x/../../secret', './/x', 'l/x', 'l/../secret', 'l', 'abs/inner'],
  ...['up/secret', 'up/jail-evil', 'chain/x', 'self/secret', 'x/y/../../../..', 'd/x', 'd0-evil/x', '../d0-evil/x'],
];
const KINDS = ['0', '1', '2', '3', '4', '5', '6', 'whiteout', 'opaque'] as const;
/** `@` is the path of what must stay as it is. */
const LINKS = [
  ...[
    '@',
    '@/secret',
    '../../..',
    '../../../../../../../../../..@',
    'secret',
    '/proc/self/root',
    '/proc/self/cwd@',
    '.',
    '/',
    'l',
    '@/dir',
    '..',
  ],
];
/** Where the links are that the attack goes through: in its layer, in the layer below, or put there in place of a directory. */
const SPLITS = ['together', 'below', 'replaced'] as const;

export const LAYERS = NAMES.length * KINDS.length * LINKS.length * SPLITS.length;

export async function countOutcomes(): Promise<Record<Outcome, number>> {
  using arena = await Arena.make(() => Buffer.concat([block({ name: 'in/f' }), END]));
  const outcomes = { unpacked: 0, refused: 0 };
  for (const name of NAMES)
    for (const kind of KINDS)
      for (const link of LINKS)
        for (const split of SPLITS) {
          const target = link.replaceAll('@', arena.outside);
          outcomes[await arena.unpack(layers({ name, kind, target, split, outside: arena.outside }))]++;
          arena.check(`${split}: ${kind} ${name} by way of ${link}`);
        }
  return outcomes;
}

interface Attack {
  readonly name: string;
  readonly kind: (typeof KINDS)[number];
  readonly target: string;
  readonly split: (typeof SPLITS)[number];
  readonly outside: string;
}

function layers(attack: Attack): Buffer[] {
  const trap = trapOf(attack);
  const strike = strikeOf(attack);
  const layer = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, END]);
  if (attack.split === 'together') return [layer(...trap, ...strike)];
  if (attack.split === 'below') return [layer(...trap), layer(...strike)];
  return [
    layer(directory('l'), directory('d'), file('l/x'), file('d/x')),
    layer(block({ name: '.wh.l' }), ...trap, link('d', 'l')),
    layer(...strike),
  ];
}

function trapOf({ target, outside }: Attack): Buffer[] {
  return [
    linkTo('l', target),
    linkTo('abs', `${outside}/dir`),
    link('up', '../../..'),
    link('chain', 'up'),
    linkTo('self', `/proc/self/root${outside}`),
  ];
}

function strikeOf({ name, kind, target }: Attack): Buffer[] {
  const last = name.lastIndexOf('/') + 1;
  if (kind === 'whiteout') return [file(`${name.slice(0, last)}.wh.${name.slice(last)}`, '')];
  if (kind === 'opaque') return [file(`${name}/.wh..wh..opq`, ''), file(`${name}/new`)];
  const xattr = pax({ 'SCHILY.xattr.user.evil': 'x', uid: '99' });
  const numbers = { mode: '0004777\0', major: '0000001\0', minor: '0000003\0' };
  const entry = kind === '0' ? withBody({ name, ...numbers }, Buffer.from('evil')) : block({ name, type: kind, link: target, ...numbers });
  return [xattr, entry, file(`${name}/under`), file(name)];
}

/** A target that no header holds stands in a record before it. */
function linkTo(name: string, target: string): Buffer {
  return target.length > 100 ? Buffer.concat([pax({ linkpath: target }), link(name, '')]) : link(name, target);
}

if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(await countOutcomes()));
