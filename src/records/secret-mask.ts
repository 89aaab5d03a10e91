/**
 * Values of secrets, replaced where a step printed them, whole or line by line. What a step changes before it prints it nobody can know.
 */

/** A value that is shorter stands in too much that is none. */
const LENGTH_MIN = 5;
/** Of the lines of a longer text, such as a key in PEM. */
const LINE_MIN = 16;
/** Longer than what is looked for at once: the rest of such a line follows its beginning. */
const LENGTH_MAX = 4096;
const MASK = '[secret]';

export interface SecretMask {
  /** From now on. */
  hide(value: Uint8Array): void;
  /** Bytes at an end that may be the beginning of a secret: they wait for what follows. */
  readonly holdBack: number;
  apply(bytes: Buffer): Buffer;
}

export function openSecretMask(): SecretMask {
  const hidden = new Set<string>();
  let holdBack = 0;
  return {
    hide(value) {
      const text = Buffer.from(value).toString('latin1').trim();
      const lines = text.split(/\r?\n/).map((line) => line.trim());
      const least = lines.length === 1 ? LENGTH_MIN : LINE_MIN;
      for (const line of lines) for (const part of partsOf(line)) if (part.length >= least) hidden.add(part);
      holdBack = Math.max(0, ...[...hidden].map((part) => part.length - 1));
    },
    get holdBack() {
      return holdBack;
    },
    apply(bytes) {
      if (hidden.size === 0) return bytes;
      let text = bytes.toString('latin1');
      // The longest first: one may be a part of another.
      for (const part of [...hidden].sort((a, b) => b.length - a.length)) text = text.replaceAll(part, MASK);
      return Buffer.from(text, 'latin1');
    },
  };
}

function partsOf(line: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < line.length; at += LENGTH_MAX) parts.push(line.slice(at, at + LENGTH_MAX));
  return parts;
}
