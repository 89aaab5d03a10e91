/** YAML as the JSON that it stands for: one document, no tags of its own, few aliases. */
import { TsbuildError } from '../../errors.ts';
import type { JsonValue } from '../../oci/strict-json.ts';

const DEPTH_MAX = 64;
const ALIASES_MAX = 100;

/**
 * Throws IMAGE_INVALID. Numbers such as 0666 are octal, as vendors mean them, whatever YAML 1.2 says. The library is loaded with
 * the first call.
 */
export async function parseYaml(bytes: Uint8Array, subject: string): Promise<JsonValue> {
  const { isScalar, parseDocument, visit } = await import('yaml');
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const document = parseDocument(text, { schema: 'core', strict: true, uniqueKeys: true, logLevel: 'error' });
    const [first] = [...document.errors, ...document.warnings];
    if (first !== undefined) throw first;
    visit(document, {
      Scalar(_, node) {
        if (typeof node.value === 'number' && /^0[0-7]+$/.test(node.source ?? '')) node.value = Number.parseInt(node.source ?? '', 8);
      },
      Pair(_, { key }) {
        if (!isScalar(key) || typeof key.value !== 'string') throw new Error('a key is no text');
      },
    });
    return plain(document.toJS({ maxAliasCount: ALIASES_MAX }), 0);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : String(cause);
    throw new TsbuildError('IMAGE_INVALID', `Cannot read ${subject}: ${reason}`, { cause });
  }
}

/** Objects without a prototype, and nothing that JSON does not have. */
function plain(value: unknown, depth: number): JsonValue {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (typeof value !== 'object') throw new Error(`a ${typeof value} is no value of JSON`);
  const object: Record<string, JsonValue> = Object.create(null);
  for (const [name, item] of Object.entries(value as object)) object[name] = plain(item, depth + 1);
  return object;
}
