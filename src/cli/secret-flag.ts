/** `--secret id=x[,src=file|,env=NAME][,type=file|env]`. */
import { TsbuildError } from '../errors.ts';
import type { SecretSource } from '../index.ts';
import { csvFields } from './csv-flags.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** By id; the last of an id wins. Without a source the variable of that name counts, else the file. Throws USAGE. */
export function secretsOf(words: readonly string[], env: Environment): Record<string, SecretSource> {
  const secrets: Record<string, SecretSource> = Object.create(null) as Record<string, SecretSource>;
  for (const word of words) {
    const { id, source } = readSecret(word, env);
    secrets[id] = source;
  }
  return secrets;
}

function readSecret(word: string, env: Environment): { id: string; source: SecretSource } {
  const fields = new Map<string, string>();
  for (const [key, value] of csvFields('--secret', word)) {
    const name = key === 'source' ? 'src' : key;
    if (value === undefined || !['id', 'src', 'env', 'type'].includes(name))
      throw refused(word, `${JSON.stringify(key)} is not one of id=, src=, env=, type=`);
    fields.set(name, value);
  }
  const id = fields.get('id');
  const type = fields.get('type');
  if (id === undefined || id === '') throw refused(word, 'it has no id');
  if (type !== undefined && type !== 'file' && type !== 'env') throw refused(word, `its type is not file or env`);
  const file = fields.get('src') ?? '';
  const name = fields.get('env') ?? (type === 'env' ? file : '');
  if (name !== '') return { id, source: { env: name } };
  if (file !== '') return { id, source: { file } };
  return { id, source: type !== 'file' && env[id] !== undefined ? { env: id } : type === 'env' ? { env: id } : { file: id } };
}

function refused(word: string, reason: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(word)} as --secret: ${reason}`, {
    hint: 'Write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE.',
  });
}
