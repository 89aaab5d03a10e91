import { createHash } from 'node:crypto';

/** Names a snapshot's layer in one form. `form` says all that its bytes depend on beside the files; '' is the form that most images have. */
export function layerRecordKey(name: string, form: string): string {
  return form === '' ? name : createHash('sha256').update(`layer\0${name}\0${form}`).digest('hex');
}
