/** What packages write about their licences → SPDX license expressions. Source: SPDX 2.3, annex D; Debian's copyright format; what Fedora wrote before it took SPDX's names. */
import { createHash } from 'node:crypto';

/** Knows SPDX's list of licences and exceptions: the name as the list spells it. */
export interface LicenseNames {
  license(name: string): string | undefined;
  exception(name: string): string | undefined;
}

export interface LicenseExpression {
  readonly expression: string;
  /** Names that are not on SPDX's list, by the references that stand for them. */
  readonly references: ReadonlyMap<string, string>;
}

const OPERANDS_MAX = 200;
const DEPTH_MAX = 20;

/** Names of Debian and Fedora that the list has under another one. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{
      expat: 'MIT',
      'bsd-2': 'BSD-2-Clause',
      'bsd-3': 'BSD-3-Clause',
      'apache-2': 'Apache-2.0',
      'asl 2.0': 'Apache-2.0',
      'apache 2.0': 'Apache-2.0',
    },
    ...{
      'artistic-1': 'Artistic-1.0',
      'artistic-2': 'Artistic-2.0',
      'mplv2.0': 'MPL-2.0',
      'psf-2': 'PSF-2.0',
      zlib: 'Zlib',
      'x11 license': 'X11',
    },
    ...{
      'apache license 2.0': 'Apache-2.0',
      'mit license': 'MIT',
      'the mit license': 'MIT',
      'apache software license': 'Apache-2.0',
      'mit/x11': 'MIT',
    },
    ...{
      'new bsd': 'BSD-3-Clause',
      'bsd license': 'BSD-3-Clause',
      'isc license': 'ISC',
      boost: 'BSL-1.0',
      'boost-1.0': 'BSL-1.0',
      cc0: 'CC0-1.0',
    },
  }),
);
/** GPL-2+, GPLv2+, GPL2, LGPL-2.1, AGPLv3. */
const GNU = /^(A?GPL|LGPL|GFDL)(?:-?v?)(\d(?:\.\d)?)(\+|-or-later|-only)?$/i;

/** undefined for text that names nothing. */
export function licenseExpression(text: string, names: LicenseNames): LicenseExpression | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return whole(text);
  const references = new Map<string, string>();
  const reader: Reader = { tokens, at: 0, operands: 0, names, references };
  const expression = readOr(reader, 0);
  return expression === undefined || reader.at < tokens.length ? whole(text) : { expression, references };
}

interface Reader {
  readonly tokens: readonly string[];
  at: number;
  operands: number;
  readonly names: LicenseNames;
  readonly references: Map<string, string>;
}

/** Brackets, AND, OR and WITH in capitals, and what is between them: a name, perhaps of several words. */
function tokensOf(text: string): string[] | undefined {
  // Debian: a comma binds weaker than the words.
  const parts = text.replace(/,\s+(?=(?:and|or)\b)/gi, ' ').split(/(\(|\)|\s+(?:and|or|with)\s+)/i);
  const tokens = parts.map((part) => part.trim()).filter((part) => part !== '');
  return tokens.length === 0 || tokens.length > OPERANDS_MAX * 4
    ? undefined
    : tokens.map((each) => (/^(?:and|or|with)$/i.test(each) ? each.toUpperCase() : each));
}

function readOr(reader: Reader, depth: number): string | undefined {
  return readJoined(reader, 'OR', () => readJoined(reader, 'AND', () => readOne(reader, depth)));
}

function readJoined(reader: Reader, operator: 'AND' | 'OR', read: () => string | undefined): string | undefined {
  const operands: string[] = [];
  for (;;) {
    const operand = read();
    if (operand === undefined) return undefined;
    if (!operands.includes(operand)) operands.push(operand);
    if (reader.tokens[reader.at] !== operator) break;
    reader.at++;
  }
  return operands.join(` ${operator} `);
}

function readOne(reader: Reader, depth: number): string | undefined {
  const token = reader.tokens[reader.at++];
  if (token === undefined || ++reader.operands > OPERANDS_MAX || depth > DEPTH_MAX) return undefined;
  if (token === '(') {
    const inner = readOr(reader, depth + 1);
    if (inner === undefined || reader.tokens[reader.at++] !== ')') return undefined;
    return / (?:OR|AND) /.test(inner) ? `(${inner})` : inner;
  }
  if (/^(?:\)|AND|OR|WITH)$/.test(token)) return undefined;
  if (reader.tokens[reader.at] !== 'WITH') return nameOf(token, reader);
  const exception = reader.tokens[++reader.at];
  if (exception === undefined) return undefined;
  reader.at++;
  const [license, known] = [knownName(token, reader.names), reader.names.exception(exception)];
  // An exception that the list does not have is no expression's: the two together are one name.
  if (known === undefined || license === undefined) return reference(`${token} with ${exception}`, reader.references);
  return `${license} WITH ${known}`;
}

function nameOf(name: string, { names, references }: Reader): string {
  return knownName(name, names) ?? reference(name, references);
}

function knownName(name: string, names: LicenseNames): string | undefined {
  const other = OTHER_NAMES.get(name.toLowerCase());
  return names.license(name) ?? (other === undefined ? undefined : names.license(other)) ?? gnuName(name, names) ?? laterOf(name, names);
}

function gnuName(name: string, names: LicenseNames): string | undefined {
  const [, family, version = '', suffix] = GNU.exec(name) ?? [];
  if (family === undefined) return undefined;
  const number = version.includes('.') ? version : `${version}.0`;
  return names.license(`${family}-${number}-${suffix === '+' || suffix === '-or-later' ? 'or-later' : 'only'}`);
}

function laterOf(name: string, names: LicenseNames): string | undefined {
  const plain = name.endsWith('+') ? names.license(name.slice(0, -1)) : undefined;
  return plain === undefined ? undefined : `${plain}+`;
}

function whole(text: string): LicenseExpression | undefined {
  const references = new Map<string, string>();
  const name = text.trim();
  return name === '' ? undefined : { expression: reference(name, references), references };
}

/** Letters, digits, dots and hyphens: two names that look alike then have different digests. */
function reference(name: string, references: Map<string, string>): string {
  const plain = name
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  const digest = plain === name ? '' : `-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
  const id = `LicenseRef-${plain}${digest}`;
  references.set(id, name);
  return id;
}
