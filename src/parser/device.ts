/** `RUN --device=NAME[,required]`: fields in CSV. Source: Dockerfile reference "RUN --device". */
import { TsbuildError } from '../errors.ts';
import { splitMountFields } from './mount-fields.ts';
import { didYouMean } from './suggest.ts';

export interface DeviceRequest {
  /** Such as `vendor.com/class=name`; what it means the machine says, or `--allow device=...,alias=`. */
  readonly name: string;
  /** Without it a device that is not there is left out. */
  readonly required: boolean;
}

const KEYS = ['name', 'required'];
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** The first field that is no option is the name, whatever `=` it holds. Throws DOCKERFILE_SYNTAX without a location. */
export function parseDevice(text: string): DeviceRequest {
  let name = '';
  let required = false;
  for (const [key, value] of splitMountFields(text)) {
    const option = key.toLowerCase();
    if (option === 'required') required = value === undefined || readBoolean(value);
    else if (option === 'name' && value !== undefined && name === '') name = value;
    else if (name === '' && option !== 'name') name = value === undefined ? key : `${key}=${value}`;
    else throw strangeField(key, name);
  }
  if (name !== '' && !name.includes('\0')) return { name, required };
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${quote(text)} as --device: it names no device`, {
    hint: 'Write --device=vendor.com/class=name, with ,required where the step is nothing without it.',
  });
}

function readBoolean(value: string): boolean {
  if (TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${quote(value)} as required in --device: not true or false`);
}

function strangeField(key: string, name: string): TsbuildError {
  const reason = KEYS.includes(key.toLowerCase()) ? `it is ${quote(name)} already` : `no such key${didYouMean(key, KEYS)}`;
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${quote(key)} in --device: ${reason}`);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
