import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withShorthandValues } from '../../src/cli/shorthand-values.ts';

test('withShorthandValues() leaves the context alone, and what belongs to a command that is run', () => {
  const values = (line: string): string => withShorthandValues(line.split(' '), (word) => word === 'run').join(' ');
  assert.equal(values('--provenance .'), '--provenance=true .');
  assert.equal(values('build --sbom --provenance -t x .'), 'build --sbom=true --provenance=true -t x .');
  assert.equal(values('--provenance mode=max .'), '--provenance mode=max .');
  assert.equal(values('--provenance false .'), '--provenance false .');
  assert.equal(values('--sbom=false .'), '--sbom=false .');
  assert.equal(values('run x --sbom .'), 'run x --sbom .');
  assert.equal(values('x -- --sbom .'), 'x -- --sbom .');
});
