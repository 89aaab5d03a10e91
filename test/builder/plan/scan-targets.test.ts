import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scanTargets } from '../../../src/builder/plan/scan-targets.ts';
import { plan } from './_plan.ts';

const named = (text: string, buildArgs: Record<string, string> = {}): string[] => {
  const planned = plan(text, { args: buildArgs });
  const { stages, context } = scanTargets(planned);
  return [...stages.map((index) => planned.stages[index]?.name ?? ''), ...(context ? ['(context)'] : [])];
};
const STAGE = 'ARG BUILDKIT_SBOM_SCAN_STAGE';
const REST = 'FROM scratch\nCOPY --from=a /x /\nCOPY --from=b /x /\n';

test('scanTargets() takes stages whose own ARG, or the global one, says so, and never the target', () => {
  assert.deepEqual(named(`FROM a AS a\n${STAGE}=true\nFROM b AS b\n${REST}${STAGE}=true\n`), ['a']);
  assert.deepEqual(named(`${STAGE}=true\nFROM a AS a\nFROM b AS b\n${REST}`), ['a', 'b']);
  assert.deepEqual(named(`${STAGE}=a\nFROM a AS a\nFROM b AS b\n${REST}`), ['a']);
  assert.deepEqual(named(`${STAGE}=true\nFROM a AS a\n${STAGE}=false\nFROM b AS b\n${STAGE}\n${REST}`), ['b']);
  assert.deepEqual(named(`FROM a AS a\nFROM b AS b\n${REST}`), []);
});

test('scanTargets() lets a build argument change an ARG, and not take the place of one', () => {
  const dockerfile = `FROM a AS a\n${STAGE}=false\nFROM b AS b\n${REST}`;
  assert.deepEqual(named(dockerfile, { BUILDKIT_SBOM_SCAN_STAGE: 'true' }), ['a']);
  assert.deepEqual(named(`FROM a AS a\nFROM b AS b\n${REST}`, { BUILDKIT_SBOM_SCAN_STAGE: 'true' }), []);
});

test('scanTargets() looks at the context where the target stage says so', () => {
  assert.deepEqual(named('FROM a\nARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n'), ['(context)']);
  assert.deepEqual(named('ARG BUILDKIT_SBOM_SCAN_CONTEXT=1\nFROM a\n'), ['(context)']);
  assert.deepEqual(named('FROM a AS a\nARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM a\n'), []);
});
