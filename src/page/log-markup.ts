/** A step's log as HTML: its colours as spans of a few classes, everything else that a terminal would obey left out. */
import { plainText } from '../text/terminal-text.ts';
import { type Html, markup } from './html.ts';

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

interface Look {
  readonly colour: string | undefined;
  readonly isBold: boolean;
}

const PLAIN: Look = { colour: undefined, isBold: false };

/** A carriage return shows what was written last in its line, as a terminal does. Colours end with their line. */
export function logMarkup(text: string): Html[] {
  return text.replace(/\n$/, '').split('\n').map(lineMarkup);
}

function lineMarkup(line: string): Html {
  const last = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  const parts = last.split(/\x1b\[([0-9;:]*)m/);
  let look = PLAIN;
  const spans = parts.map((part, i) => {
    if (i % 2 === 0) return spanOf(plainText(part), look);
    look = lookAfter(look, part);
    return markup``;
  });
  return markup`${spans}\n`;
}

function spanOf(text: string, { colour, isBold }: Look): Html {
  const classes = [colour === undefined ? '' : `c-${colour}`, isBold ? 'c-bold' : ''].filter((name) => name !== '').join(' ');
  return classes === '' || text === '' ? markup`${text}` : markup`<span class="${classes}">${text}</span>`;
}

/** Source: ECMA-48 8.3.117 (SGR). Colours of the larger palettes, and backgrounds, are passed over. */
function lookAfter(before: Look, sequence: string): Look {
  let look = before;
  const codes = sequence.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) i += codes[i + 1] === 2 ? 4 : 2;
    else if (code === 0) look = PLAIN;
    else if (code === 1) look = { ...look, isBold: true };
    else if (code === 22) look = { ...look, isBold: false };
    else if (code === 39) look = { ...look, colour: undefined };
    else look = { ...look, colour: COLOURS[code - 30] ?? COLOURS[code - 90] ?? look.colour };
  }
  return look;
}
