/** `--call METHOD[,format=json]` and `--check`: answers about a Dockerfile in place of a build. */
import { TsbuildError } from '../errors.ts';
import { type CheckOptions, checkDockerfile, listTargets, outlineDockerfile } from '../index.ts';
import { printError } from '../progress/print-error.ts';
import { checkJson, outlineJson, targetsJson } from './call-json.ts';
import { checkText, outlineText, targetsText } from './call-text.ts';
import type { Flags } from './command-table.ts';
import { printResult, type Terminal } from './terminal.ts';

const METHODS = ['build', 'check', 'outline', 'targets'] as const;

export interface Call {
  readonly method: (typeof METHODS)[number];
  readonly format: 'text' | 'json';
}

/** Throws USAGE for what is no call. */
export function callOf({ call, check }: Flags): Call {
  const [name = '', ...settings] = (call ?? (check === true ? 'check' : 'build')).split(',');
  const method = METHODS.find((candidate) => candidate === name);
  const unknown = settings.find((setting) => !/^format=(?:json|text)$/.test(setting));
  if (method === undefined || unknown !== undefined || (check === true && method !== 'check')) {
    throw new TsbuildError('USAGE', `Cannot call ${JSON.stringify(call)}${check === true ? ' with --check' : ''}`, {
      hint: 'Methods are build, check, outline and targets, each with ,format=json if wanted.',
    });
  }
  return { method, format: settings.includes('format=json') ? 'json' : 'text' };
}

/** Prints the answer; resolves to the exit code, 1 where a check found something. */
export async function answer(terminal: Terminal, { method, format }: Call, options: CheckOptions): Promise<number> {
  const print = (text: string, json: object): void => printResult(terminal, format === 'json' ? JSON.stringify(json, undefined, 2) : text);
  switch (method) {
    case 'build':
      throw new Error('A build is not answered');
    case 'check': {
      const result = await checkDockerfile(options);
      print(checkText(result), checkJson(result));
      if (result.error !== undefined && format === 'text') printError(terminal.screen, result.error);
      return result.warnings.length > 0 || result.error !== undefined ? 1 : 0;
    }
    case 'outline': {
      const outline = await outlineDockerfile(options);
      print(outlineText(outline), outlineJson(outline));
      return 0;
    }
    case 'targets': {
      const list = await listTargets(options);
      print(targetsText(list.targets), targetsJson(list));
      return 0;
    }
  }
}
