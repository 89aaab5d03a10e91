import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explainMiss } from '../../src/cache/explain-miss.ts';
import { FILES_MAX, type FileLine, type StepAccount } from '../../src/cache/step-account.ts';

const FILE: FileLine = ['src/a.ts', 'file 644', '0:0', 'c1', ''];
const ACCOUNT: StepAccount = {
  key: 'k1',
  parent: { key: 'p1', base: null },
  parts: [
    ['the command', '1'],
    ['files of the build context', '1'],
  ],
  variables: [
    ['A', 'd1', 'one'],
    ['TOKEN', 'd1', null],
  ],
  files: [FILE],
};
const PARENT = { name: '[build 2/5] RUN x', isNew: false };
const why = (changed: Partial<StepAccount>, parent = PARENT) => explainMiss({ ...ACCOUNT, key: 'k2', ...changed }, [ACCOUNT], parent);

describe('explainMiss()', () => {
  test('tells a place that is new, and a result that is gone', () => {
    assert.deepEqual(explainMiss(ACCOUNT, [], PARENT), [{ kind: 'first' }]);
    assert.deepEqual(explainMiss(ACCOUNT, [ACCOUNT], PARENT), [{ kind: 'lost' }]);
  });

  test('tells what of a file is another', () => {
    const changes: [FileLine, string][] = [
      [['src/a.ts', 'file 644', '0:0', 'c2', ''], 'content'],
      [['src/a.ts', 'file 755', '0:0', 'c1', ''], 'type or mode'],
      [['src/a.ts', 'file 644', '1:1', 'c1', ''], 'owner'],
      [['src/a.ts', 'file 644', '0:0', 'c1', 'x'], 'attributes'],
    ];
    const parts = [['the command', '1'] as const, ['files of the build context', '2'] as const];
    for (const [line, change] of changes) assert.deepEqual(why({ parts, files: [line] }), [{ kind: 'file', path: 'src/a.ts', change }]);
    const moved = why({ parts, files: [['src/b.ts', 'file 644', '0:0', 'c1', '']] });
    assert.deepEqual(moved, [
      { kind: 'file', path: 'src/b.ts', change: 'added' },
      { kind: 'file', path: 'src/a.ts', change: 'removed' },
    ]);
    assert.deepEqual(why({ parts }), [{ kind: 'ingredient', name: 'files of the build context' }], 'where no line says it');
  });

  test('lists the first files, counts the rest, and calls nothing new or gone in a list that was cut', () => {
    const many = (content: string, count: number, from = 0) =>
      Array.from({ length: count }, (_, index): FileLine => [`f${from + index}`, 'file 644', '0:0', content, '']);
    const told = explainMiss({ ...ACCOUNT, key: 'k2', files: many('b', 9) }, [{ ...ACCOUNT, files: many('a', 9) }], PARENT);
    assert.equal(told.length, 6);
    assert.deepEqual(told[5], { kind: 'more', count: 4 });
    const cut = explainMiss(
      { ...ACCOUNT, key: 'k2', files: many('a', FILES_MAX, 1), parts: [] },
      [{ ...ACCOUNT, files: many('a', FILES_MAX), parts: [] }],
      PARENT,
    );
    assert.ok(!cut.some(({ kind }) => kind === 'file'), JSON.stringify(cut));
  });

  test('tells variables with values where they may be seen', () => {
    assert.deepEqual(
      why({
        variables: [
          ['A', 'd2', 'two'],
          ['TOKEN', 'd2', null],
          ['B', 'd', 'x'],
        ],
      }),
      [
        { kind: 'variable', name: 'A', change: 'changed', before: 'one', after: 'two' },
        { kind: 'variable', name: 'TOKEN', change: 'changed' },
        { kind: 'variable', name: 'B', change: 'added', after: 'x' },
      ],
    );
    assert.deepEqual(why({ variables: [['A', 'd1', 'one']] }), [{ kind: 'variable', name: 'TOKEN', change: 'removed' }]);
  });

  test('tells a parent that was made anew, and a base by its digests', () => {
    assert.deepEqual(why({ parent: { key: 'p2', base: null } }, { ...PARENT, isNew: true }), [{ kind: 'parent', name: PARENT.name }]);
    const image = { name: 'image busybox', isNew: false };
    const before = { ...ACCOUNT, parent: { key: 'b1', base: 'sha256:1' } };
    assert.deepEqual(explainMiss({ ...ACCOUNT, key: 'k2', parent: { key: 'b2', base: 'sha256:2' } }, [before], image), [
      { kind: 'base', name: 'image busybox', before: 'sha256:1', after: 'sha256:2' },
    ]);
  });

  test('compares with the nearest of the earlier ones', () => {
    const far = { ...ACCOUNT, key: 'k0', parts: [], variables: [], files: [] };
    const reasons = explainMiss({ ...ACCOUNT, key: 'k2', parts: [...ACCOUNT.parts, ['--chmod', '1']] }, [far, ACCOUNT], PARENT);
    assert.deepEqual(reasons, [{ kind: 'ingredient', name: '--chmod' }]);
  });
});
