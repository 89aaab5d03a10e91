/** Archives with a few wrongs in them: the same bytes for the same seed, whatever ran before. */
import { gzipSync } from 'node:zlib';
import { type Random, random } from '../parser/_random.ts';
import { block, directory, END, FIELDS, type Fields, file, hardLink, link, pax, put, sumUp, withBody } from './_archives.ts';

/** `outside` is an absolute path that nothing may touch. */
export function mutantArchive(seed: number, outside: string): Buffer {
  // Seeds that follow each other must not begin alike.
  const from = random(Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995);
  for (let i = 0; i < 4; i++) from.below(2);
  const parts = from.pick(STARTS)(outside);
  for (let wrongs = 1 + from.below(4); wrongs > 0; wrongs--) from.pick(WRONGS)(parts, from, outside);
  const tar = Buffer.concat([...parts, ...(from.below(20) === 0 ? [] : [END])]);
  return from.below(25) === 0 ? flipped(gzipSync(tar, { level: 1 }), from) : tar;
}

const NAMES = 'f|d|d/a|l/x|up/secret|up/dir/inner|abs/inner|in/x|.wh.f|.wh.in|up/.wh.secret|up/.wh..wh..opq|d/.wh..wh..opq'.split('|');
const EVIL =
  '|/|.|..|../x|a/../b|a/..|./|.//a///b/|x/|.wh.|.wh..|.wh...|.wh.a/b|.wh..wh.plnk|é\xff|a\nb|a\x1b[2J|a\\b|C:|dir/.|…|f\0x|'.split('|');
const NUMBERS = [
  ...[
    '',
    '0',
    '7',
    '644',
    '0000644\0',
    ' 644 \0',
    '\x00644',
    '8',
    '-1',
    '+1',
    '0x1',
    '1e3',
    '1_0',
    '٣',
    '77777777777',
    '00000000001',
    '6 4',
    '64 \0x',
  ],
  ...[
    '\x80\0\0\0\0\0\0\x01',
    '\xff\xff\xff\xff\xff\xff\xff\xff',
    '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
    '\x81\0\0\0\0\0\0\0',
    '0o7',
    '4294967295',
    ' ',
  ],
];
const RECORD_KEYS = [
  ...[
    'path',
    'linkpath',
    'size',
    'uid',
    'gid',
    'mtime',
    'uname',
    'comment',
    'hdrcharset',
    'atime',
    'GNU.sparse.name',
    'GNU.sparse.realsize',
    'GNU.sparse.map',
  ],
  ...[
    'SCHILY.xattr.user.a',
    'SCHILY.xattr.trusted.overlay.redirect',
    'SCHILY.xattr.security.capability',
    'SCHILY.xattr.user.overlay.opaque',
  ],
  ...['SCHILY.realsize', 'LIBARCHIVE.xattr.user.b', 'GNU.volume.offset', 'Path', '__proto__'],
];
const RECORD_VALUES = [
  '',
  '0',
  '1',
  '512',
  '1024',
  '-1',
  '1.5',
  '4294967294',
  '99999999999999999999',
  'y',
  '/etc',
  '1 ',
  '\xff',
  'a\nb',
  'BINARY',
];
const MAGICS = ['ustar\x0000', 'ustar  \0', '', 'ustar\x0001', 'ustar\0\0\0', 'USTAR\x0000', 'ustar 00'];
const TYPES = '0 1 2 3 4 5 6 7 \0 x g L K S V M D N A Z X'.split(' ');

function evilName(from: Random, outside: string): string {
  const kind = from.below(10);
  if (kind < 4) return from.pick(NAMES);
  if (kind < 7) return from.pick(EVIL);
  if (kind === 7)
    return from.pick([
      outside,
      `${outside}/secret`,
      `../../../../../../../../..${outside}/secret`,
      '/proc/self/root',
      '../secret',
      '../../jail-evil/x',
    ]);
  return `${from.pick(NAMES)}/${from.pick(EVIL)}`;
}

const STARTS: readonly ((outside: string) => Buffer[])[] = [
  () => [directory('d'), file('d/a'), link('l', 'd'), hardLink('h', 'd/a'), file('.wh.f', ''), file('in/.wh..wh..opq', ''), file('l/x')],
  (outside) => [
    link('up', '../../..'),
    link('abs', outside),
    file('up/secret'),
    file('abs/inner'),
    hardLink('h', 'up/secret'),
    directory('abs/dir'),
  ],
  () => [
    pax({ path: `p/${'n'.repeat(120)}`, mtime: '1.5', 'SCHILY.xattr.user.a': 'x' }),
    file('short'),
    pax({ size: '5' }),
    withBody({ size: '0' }, Buffer.from('hello')),
    file('b'),
  ],
  () => [
    longName('K', 'k'.repeat(150)),
    longName('L', 'l'.repeat(150)),
    block({ type: '2', link: 'x', magic: 'ustar  \0' }),
    block({ name: 'old/', type: '\0', magic: '' }),
    file('c'),
  ],
  () => [
    block({ name: 'null', type: '3', major: '0000001\0', minor: '0000003\0' }),
    block({ name: 'sda', type: '4', major: '0000010\0' }),
    block({ name: 'p', type: '6' }),
    block({ name: 'z', type: '3' }),
  ],
  () => [
    pax({ comment: 'abc' }, 'g'),
    block({ name: 'n', prefix: 'p/q', uid: '0001750\0', mtime: '14371557301\0' }),
    file('big', 'x'.repeat(3000)),
    block({ name: 's', trailer: '\0\0\0\0\0\0\0\0tar\0', prefix: 'st' }),
  ],
];

function longName(type: 'K' | 'L', name: string): Buffer {
  return withBody({ type, name: '././@LongLink', magic: 'ustar  \0' }, Buffer.from(`${name}\0`));
}

type Wrong = (parts: Buffer[], from: Random, outside: string) => void;

function someField(fields: readonly (keyof Fields)[], value: (from: Random, outside: string) => string): Wrong {
  return (parts, from, outside) => {
    const part = someHeader(parts, from);
    put(part, from.pick(fields), Buffer.from(value(from, outside), 'latin1'));
    sumUp(part);
  };
}

function someHeader(parts: Buffer[], from: Random): Buffer {
  const whole = parts.filter((part) => part.length >= 512);
  return whole.length === 0 ? (parts[parts.push(block()) - 1] as Buffer) : from.pick(whole);
}

const insert: (make: (from: Random, outside: string) => Buffer) => Wrong = (make) => (parts, from, outside) => {
  parts.splice(from.below(parts.length + 1), 0, make(from, outside));
};

const WRONGS: readonly Wrong[] = [
  someField(['name', 'name', 'link', 'prefix'], evilName),
  someField(['name', 'link'], evilName),
  someField(['mode', 'uid', 'gid', 'size', 'mtime', 'major', 'minor'], (from) => from.pick(NUMBERS)),
  someField(['size'], (from) => from.below(2000).toString(8).padStart(11, '0')),
  someField(['type'], (from) => from.pick(TYPES)),
  someField(['magic'], (from) => from.pick(MAGICS)),
  (parts, from) => {
    const part = someHeader(parts, from);
    const [at, width] = from.pick(Object.values(FIELDS));
    part[at + from.below(width)] = from.below(256);
    sumUp(part);
  },
  (parts, from) => {
    const part = someHeader(parts, from);
    part[from.below(part.length)] = from.below(256);
  },
  insert((from, outside) =>
    pax({ [from.pick(RECORD_KEYS)]: from.below(2) === 0 ? from.pick(RECORD_VALUES) : evilName(from, outside) }, from.pick(['x', 'x', 'g'])),
  ),
  insert((from, outside) =>
    pax(
      Object.fromEntries(
        Array.from({ length: 3 }, () => [from.pick(RECORD_KEYS), from.below(2) === 0 ? from.pick(RECORD_VALUES) : evilName(from, outside)]),
      ),
    ),
  ),
  insert((from, outside) =>
    withBody(
      { type: 'x' },
      Buffer.from(
        from.pick([
          `${from.below(40)} path=${evilName(from, outside)}\n`,
          '6 a=b\n9 path=c\n',
          '0 \n',
          '11 path=a\0b\n',
          '9 path=a\n\0\0',
          ' 9 path=a\n',
          '009 path=a\n',
        ]),
        'latin1',
      ),
    ),
  ),
  insert((from, outside) =>
    withBody(
      { type: from.pick(['L', 'K', 'N', 'x']), magic: from.pick(MAGICS) },
      Buffer.from(`${evilName(from, outside)}${from.pick(['\0', '', '\0x', '/\0'])}`, 'latin1'),
    ),
  ),
  insert((from, outside) =>
    block({ name: evilName(from, outside), type: from.pick(['0', '1', '2', '5', '6']), link: evilName(from, outside) }),
  ),
  insert((from, outside) => file(evilName(from, outside))),
  insert((from) => Buffer.alloc(from.pick([512, 1024, 1]), 0)),
  (parts, from) => {
    parts.push(...parts.splice(from.below(parts.length), 1));
  },
  (parts, from) => {
    parts.splice(from.below(parts.length), 0, Buffer.from(someHeader(parts, from)));
  },
  (parts, from) => {
    const at = from.below(parts.length);
    const part = parts[at];
    if (part !== undefined) parts[at] = part.subarray(0, from.below(part.length + 1));
  },
  (parts, from) => {
    parts.splice(from.below(parts.length), 1);
  },
];

function flipped(bytes: Buffer, from: Random): Buffer {
  if (from.below(2) === 0) bytes[from.below(bytes.length)] = from.below(256);
  return bytes;
}
