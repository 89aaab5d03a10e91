// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the language under test
import assert from 'node:assert/strict';
import test from 'node:test';
import { unusedBuildArgs } from '../../../src/builder/plan/build-args.ts';
import { type BaseFacts, type BuildPlan, imageKey } from '../../../src/builder/plan/build-plan.ts';
import type { Platform } from '../../../src/oci/platform.ts';
import { AMD64, plan, planFailure } from './_plan.ts';

/** `name<base` of each stage. */
function outline({ stages }: BuildPlan): string[] {
  return stages.map(({ name, base }) => {
    if (base.kind === 'scratch') return `${name}<scratch`;
    return `${name}<${base.kind === 'stage' ? `#${base.index}` : base.kind === 'image' ? base.reference : base.name}`;
  });
}

test('planBuild takes only what the target needs, in an order to build in', () => {
  const text =
    'FROM a AS one\nFROM b AS two\nFROM c AS unused\nFROM one AS three\nCOPY --from=two /x /\nFROM scratch\nCOPY --from=three /x /\nCOPY --from=1 /x /\nCOPY --from=d:1 /x /\n';
  const result = plan(text);
  assert.deepEqual(outline(result), ['one<a', 'two<b', 'three<#0', 'stage-4<scratch']);
  assert.equal(result.target, 3);
  assert.deepEqual(
    result.stages.map(({ index }) => index),
    [0, 1, 2, 3],
  );
  assert.deepEqual(
    result.stages[3]?.steps.map(({ from }) => from),
    [undefined, { kind: 'stage', index: 2 }, { kind: 'stage', index: 1 }, { kind: 'image', reference: 'd:1', platform: AMD64 }],
  );
  assert.deepEqual(outline(plan(text, { target: 'TWO' })), ['two<b']);
});

test('planBuild labels every step with its stage, number and count', () => {
  const [stage] = plan('FROM a AS build\nENV A=1\nRUN make \\\n  all\n').stages;
  assert.deepEqual(
    stage?.steps.map(({ label }) => label),
    [
      { id: 'build/1', stage: 'build', number: 1, count: 3, text: 'FROM a AS build' },
      { id: 'build/2', stage: 'build', number: 2, count: 3, text: 'ENV A=1' },
      { id: 'build/3', stage: 'build', number: 3, count: 3, text: 'RUN make   all' },
    ],
  );
});

test('planBuild gives steps of stages that share a name different ids', () => {
  const { stages } = plan('FROM a AS x\nFROM x AS x\nFROM x\n');
  const ids = stages.flatMap(({ steps }) => steps.map(({ label }) => label.id));
  assert.equal(new Set(ids).size, ids.length);
});

test('planBuild lets the last earlier stage of a name win', () => {
  assert.deepEqual(outline(plan('FROM a AS x\nFROM b AS x\nFROM x AS x\n')), ['x<b', 'x<#0']);
  const copying = plan('FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=X /a /b\n');
  assert.deepEqual(outline(copying), ['x<b', 'stage-2<c']);
});

test('planBuild compares the case of a stage name in FROM, but not in COPY --from', () => {
  assert.match(planFailure('FROM a AS build\nFROM Build\n'), /^REFERENCE_INVALID .*lower-case \(2\)$/);
  assert.deepEqual(plan('FROM a AS build\nFROM b\nCOPY --from=BuilD x y\n').stages[1]?.steps[1]?.from, { kind: 'stage', index: 0 });
});

test('planBuild refuses a COPY from a later stage, from the stage itself and from a number that is none', () => {
  assert.equal(
    planFailure('FROM a\nCOPY --from=b x y\nFROM c AS b\nCOPY --from=0 x y\n'),
    'STAGE_CYCLE Cannot copy from stage "b": it comes later (2)',
  );
  assert.equal(planFailure('FROM a AS b\nCOPY --from=B x y\n'), 'STAGE_CYCLE Cannot copy from stage "B": it is the stage itself (2)');
  assert.equal(planFailure('FROM a\nCOPY --from=0 x y\n'), 'STAGE_CYCLE Cannot copy from stage "0": it is the stage itself (2)');
  assert.equal(planFailure('FROM a\nCOPY --from=7 x y\n'), 'STAGE_NOT_FOUND Cannot copy from stage 7: the last stage has number 0 (2)');
  assert.equal(planFailure('FROM a\nCOPY --from=scratch x y\n'), 'STAGE_NOT_FOUND Cannot copy from scratch: it has no files (2)');
});

test('planBuild names the stages there are when the target is none of them', () => {
  const text = 'FROM a AS base\nFROM b AS build\n';
  assert.equal(
    planFailure(text, { target: 'biuld' }),
    'STAGE_NOT_FOUND Cannot find stage "biuld" in --target (stages: base, build) (did you mean build?)',
  );
  assert.equal(planFailure('FROM a\n', { target: '0' }), 'STAGE_NOT_FOUND Cannot find stage "0" in --target (no stage has a name)');
});

test('planBuild expands FROM with global ARGs, --build-arg and platform arguments only', () => {
  const base = (text: string, args: Record<string, string> = {}) => outline(plan(text, { args })).at(-1)?.replace(/^.*</, '');
  assert.equal(base('ARG V=1\nFROM a:$V\n'), 'a:1');
  assert.equal(base('ARG V=1\nFROM a:$V\n', { V: '2' }), 'a:2');
  assert.equal(base('ARG V\nFROM a:${V:-3}\n'), 'a:3');
  assert.equal(base('ARG V=1\nARG W=x$V\nFROM a:$W\n'), 'a:x1');
  assert.equal(base('ARG V=1\nARG V=2 W=x$V\nFROM a:$W\n'), 'a:x2');
  assert.equal(base('ARG V=${N:?no}\nFROM a:$V\n', { V: '2' }), 'a:2');
  assert.equal(
    base('FROM a:$TARGETOS-$TARGETARCH$TARGETVARIANT-${BUILDPLATFORM//\\//.}-$TARGETSTAGE\n'),
    'a:linux-amd64-linux.amd64-default',
  );
  assert.equal(base('FROM a:$TARGETARCH-$TARGETSTAGE AS end\n', { TARGETARCH: 'mine' }), 'a:mine-end');
  assert.equal(base('FROM --platform=$BUILDPLATFORM a\n'), 'a');
  assert.equal(base('FROM b\nARG V=1\nENV V=2\nFROM a:${V:-none}\n'), 'a:none');
  assert.equal(base('FROM a:${V:-none}\n', { V: '1' }), 'a:none');
  assert.equal(base('ARG B=scratch\nFROM $B\n'), 'scratch');
});

test('planBuild places faults of FROM at its line', () => {
  assert.equal(planFailure('FROM a\nFROM $X\n'), 'EXPANSION Cannot use $X as a base image: it is empty after expansion (2)');
  assert.equal(planFailure('ARG X="${Y:?is needed}"\nFROM a\n'), 'EXPANSION Cannot expand Y: is needed (1)');
  assert.match(planFailure('FROM a:b:c\n'), /^REFERENCE_INVALID .* \(1\)$/);
  assert.equal(planFailure('FROM --platform=$X a\n'), 'EXPANSION Cannot use $X as a platform: it is empty after expansion (1)');
});

test('planBuild does not look at stages that the target does not need', () => {
  const text = 'FROM a AS ok\nFROM $MISSING AS broken\nADD x y\nCOPY --from=9 a b\n';
  assert.deepEqual(outline(plan(text, { target: 'ok' })), ['ok<a']);
  assert.match(planFailure(text), /^EXPANSION /);
});

test('planBuild stands a long chain of stages', () => {
  const count = 5000;
  const text = `FROM a AS s0\n${Array.from({ length: count }, (_, index) => `FROM s${index} AS s${index + 1}\n`).join('')}`;
  assert.equal(plan(text).stages.length, count + 1);
});

test('a plan is plain data', () => {
  const result = plan('ARG X=1\nFROM a AS b\nRUN x\nCOPY --from=c d e\n');
  assert.deepEqual(structuredClone(result), result);
});

const ARM64 = { os: 'linux', architecture: 'arm64' };
const STEPS = (result: BuildPlan, index = result.target) => result.stages[index]?.steps.map(({ label }) => label.text);

/** What planning is told of the image `a` for linux/amd64, or for `on`. */
function knowing(facts: Partial<BaseFacts>, on: Platform = AMD64): ReadonlyMap<string, BaseFacts> {
  return new Map([[imageKey({ reference: 'a', platform: on }), { env: [], onBuild: [], platform: on, ...facts }]]);
}

test('planBuild runs the triggers of an image after FROM, in its child alone, and copies from the stages of the child', () => {
  const images = knowing({ onBuild: ['RUN make', 'COPY --from=tools /x /', 'COPY <<E /h\n$K\nE'] });
  const text = 'FROM scratch AS tools\nFROM a AS child\nRUN own\nFROM child\nRUN last\n';
  const result = plan(text, { images });
  assert.deepEqual(STEPS(result, 1), [
    'FROM a AS child',
    'ONBUILD RUN make',
    'ONBUILD COPY --from=tools /x /',
    'ONBUILD COPY <<E /h',
    'RUN own',
  ]);
  assert.deepEqual(STEPS(result), ['FROM child', 'RUN last']);
  assert.deepEqual(result.stages[1]?.steps[2]?.from, { kind: 'stage', index: 0 });
  assert.equal(result.stages[1]?.steps[1]?.instruction.range.startLine, 2);
  assert.deepEqual(STEPS(plan('FROM a AS b\nONBUILD RUN x\nFROM b\n')), ['FROM b', 'ONBUILD RUN x']);
});

test('planBuild names the image that it has to know before it can say more', () => {
  assert.deepEqual(plan('FROM a\nCOPY --from=$X /x /\n').images, [
    { kind: 'image', reference: 'a', platform: AMD64, range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 6 } },
  ]);
  const images = knowing({ onBuild: ['COPY --from=other:1 /x /'] });
  assert.deepEqual(
    plan('FROM a\n', { images }).images.map(({ reference }) => reference),
    ['a', 'other:1'],
  );
});

for (const [trigger, reason] of [
  ['FROM evil', /FROM cannot be a trigger \(1\)$/],
  ['ONBUILD RUN x', /ONBUILD cannot be a trigger \(1\)$/],
  ['MAINTAINER x', /MAINTAINER cannot be a trigger \(1\)$/],
  ['RUN a\nRUN b', /it is not one instruction \(1\)$/],
  ['', /it is not one instruction \(1\)$/],
  ['\0\u001b[2J', /Unknown instruction .* \(1\)$/],
  ['COPY <<E /x\nnever ends', /Cannot find the end of heredoc E: .* \(1\)$/],
] as const) {
  test(`planBuild refuses the trigger ${JSON.stringify(trigger)}`, () => {
    const failure = planFailure('FROM a\n', { images: knowing({ onBuild: [trigger] }) });
    assert.match(failure, /^DOCKERFILE_SYNTAX Cannot run the ONBUILD trigger "/);
    assert.match(failure, reason);
  });
}

test('planBuild refuses an image with more triggers than anybody writes', () => {
  const images = knowing({ onBuild: Array.from({ length: 100_000 }, () => 'RUN x') });
  assert.equal(planFailure('FROM a\n', { images }), 'IMAGE_INVALID Cannot build on a: it has 100000 ONBUILD triggers (1)');
});

test('planBuild expands --from with ARG, ENV and the environment of the base', () => {
  const images = knowing({ env: ['E=two', 'F=unused'] });
  const source = (text: string, args = {}) =>
    plan(`FROM scratch AS one\nFROM scratch AS two\nFROM a AS b\n${text}\nCOPY --from=$E /x /\n`, { images, args }).stages.map(
      ({ name }) => name,
    );
  assert.deepEqual(source(''), ['two', 'b']);
  assert.deepEqual(source('ENV E=one'), ['one', 'b']);
  assert.deepEqual(source('ARG E=one'), ['one', 'b']);
  assert.deepEqual(source('ARG E=one', { E: 'two' }), ['two', 'b']);
  assert.deepEqual(source('FROM b AS c'), ['two', 'b', 'c']);
  assert.equal(
    planFailure('ARG X=1\nFROM scratch\nCOPY --from=$X /x /\n'),
    'EXPANSION Cannot use $X as a source: the variable X is not set (3)',
  );
  assert.equal(
    planFailure('FROM scratch\nENV X=\nCOPY --from=$X /x /\n'),
    'EXPANSION Cannot use $X as a source: it is empty after expansion (3)',
  );
});

test('planBuild takes the platform of FROM for what runs, and that of the build for the arguments', () => {
  const text = 'FROM --platform=$BUILDPLATFORM a AS tools\nFROM a\nCOPY --from=tools /x /\nCOPY --from=c /x /\n';
  const result = plan(text, { platform: ARM64, labels: 'with-platform' });
  assert.deepEqual(
    result.stages.map(({ platform }) => platform),
    [AMD64, ARM64],
  );
  assert.deepEqual(
    result.stages.map(({ steps }) => steps[0]?.label.stage),
    ['linux/amd64->arm64 tools', 'linux/arm64 stage-1'],
  );
  assert.deepEqual(result.images.map(imageKey), ['linux/amd64 a', 'linux/arm64 a', 'linux/arm64 c']);
  assert.equal(result.args.globalArgs.get('TARGETPLATFORM'), 'linux/arm64');
});

test('planBuild takes an image of one platform as it is where nobody chose a platform and the machine can run it', () => {
  const images = knowing({ platform: ARM64 });
  const platform = (input: object, from = 'FROM a') => plan(`${from}\nRUN x\n`, { images, ...input }).stages[0]?.platform;
  assert.deepEqual(platform({ runnable: ['amd64', 'arm64'] }), ARM64);
  assert.deepEqual(platform({ runnable: ['amd64'] }), AMD64);
  assert.deepEqual(platform({}), AMD64);
  assert.deepEqual(platform({ runnable: ['amd64', 'arm64'] }, 'FROM --platform=linux/amd64 a'), AMD64);
});

test('planBuild takes what is supported', () => {
  const text =
    'RUN --network=none x\nRUN --network=default --security=sandbox x\nRUN <<EOF\nx\nEOF\nCOPY --link=false --chown=1 --chmod=644 a b\nHEALTHCHECK CMD x\nMAINTAINER x\n';
  assert.equal(plan(`FROM a\n${text}`).stages[0]?.steps.length, 7);
});

test('unusedBuildArgs lists names that nothing declares and that mean nothing by themselves', () => {
  const result = plan('ARG A\nFROM a\nARG B=1 C=2\n');
  const args = new Map(
    ['A', 'B', 'C', 'D', 'http_proxy', 'NO_PROXY', 'TARGETARCH', 'BUILDKIT_INLINE_CACHE', 'SOURCE_DATE_EPOCH'].map((name) => [name, '']),
  );
  assert.deepEqual(unusedBuildArgs(result, args), ['D']);
});

test('planBuild needs the stages that mounts read from, and numbers them', () => {
  const text =
    'FROM a AS one\nFROM b AS unused\nFROM c AS two\nFROM d\nRUN --mount=type=tmpfs,target=/t --mount=from=TWO,target=/x --mount=type=cache,from=one,target=/y --mount=from=img:1,target=/z y\n';
  const { stages } = plan(text);
  assert.deepEqual(
    stages.map(({ name }) => name),
    ['one', 'two', 'stage-3'],
  );
  assert.deepEqual(stages[2]?.steps[1]?.mountSources, [
    undefined,
    { kind: 'stage', index: 1 },
    { kind: 'stage', index: 0 },
    { kind: 'image', reference: 'img:1', platform: AMD64 },
  ]);
});

test('planBuild refuses a mount from a later stage, at its flag', () => {
  assert.match(
    planFailure('FROM a\nRUN --mount=from=later,target=/x y\nFROM b AS later\nCOPY --from=0 a b\n'),
    /^STAGE_CYCLE .*later.* \(2\)$/,
  );
});

test('planBuild lets RUN leave the sandbox only where that is allowed', () => {
  const text = 'FROM a\nRUN x\nRUN --network=host x\nRUN --security=insecure x\n';
  assert.match(planFailure(text), /^NOT_ALLOWED .*network\.host \(3\)$/);
  assert.match(planFailure(text, { allowed: new Set(['network.host']) }), /^NOT_ALLOWED .*security\.insecure \(4\)$/);
  assert.equal(plan(text, { allowed: new Set(['network.host', 'security.insecure']) }).stages.length, 1);
});

test('planBuild finds the nearest earlier stage of a name among many, in the time of one search each', () => {
  const chain = Array.from({ length: 50_000 }, (_, index) => `FROM s${index} AS s${index + 1}`);
  const result = plan(`FROM a AS s0\n${chain.join('\n')}\n`);
  assert.equal(result.stages.length, 50_001);
  assert.deepEqual(result.stages.at(-1)?.base, { kind: 'stage', index: 49_999 });
  const twice = plan('FROM a AS x\nFROM b AS x\nFROM x AS y\nFROM c AS x\nFROM y\nCOPY --from=X /f /\n');
  assert.deepEqual(outline(twice), ['x<b', 'y<#0', 'x<c', 'stage-4<#1']);
});
