// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the language under test
import assert from 'node:assert/strict';
import test from 'node:test';
import type { StageInstruction } from '../../../src/builder/plan/build-plan.ts';
import { type ConfigState, cleanWorkdir, nextWorkdir, patchConfig, setEnv } from '../../../src/builder/plan/config-patch.ts';
import { expandInstruction } from '../../../src/builder/plan/expand-instruction.ts';
import { createdBy, historyEntry } from '../../../src/builder/plan/history.ts';
import type { ContainerConfig } from '../../../src/oci/image-config.ts';
import { plan } from './_plan.ts';

const VARIABLES = new Map([
  ['V', 'value'],
  ['PORTS', '80 53/udp'],
]);

function instructionsOf(text: string): StageInstruction[] {
  const expanded: StageInstruction[] = [];
  for (const { instruction } of plan(`FROM a\n${text}\n`).stages[0]?.steps ?? []) {
    if (instruction.kind !== 'from') expanded.push(expandInstruction(instruction, (name) => VARIABLES.get(name), { escape: '\\' }));
  }
  return expanded;
}

function patch(text: string, config: ContainerConfig = {}): ConfigState {
  return instructionsOf(text).reduce<ConfigState>((state, instruction) => patchConfig(state, instruction), {
    config,
    author: undefined,
    hasOwnCmd: false,
  });
}

/** Without prototypes, which do not count in JSON. */
function configAfter(text: string, config: ContainerConfig = {}): unknown {
  return JSON.parse(JSON.stringify(patch(text, config).config));
}

function history(text: string, config: ContainerConfig = {}, args: ReadonlyMap<string, string> = new Map()): string | undefined {
  const instruction = instructionsOf(text).at(-1);
  assert.ok(instruction !== undefined);
  return createdBy(instruction, { config: patch(text, config).config, args });
}

test('patchConfig keeps the place of an ENV that is there and puts a new one last', () => {
  assert.deepEqual(configAfter('ENV B=$V C="x y" A=\'$V\'', { Env: ['A=1', 'B=2'] }), { Env: ['A=$V', 'B=value', 'C=x y'] });
  assert.deepEqual(setEnv(['odd'], [{ key: 'odd', value: '1' }]), ['odd=1']);
});

test('patchConfig merges LABELs, whatever their names', () => {
  assert.deepEqual(configAfter('LABEL a=2 "b c"=$V\nLABEL __proto__=x', { Labels: { a: '1', z: '9' } }), {
    Labels: JSON.parse('{"a":"2","z":"9","b c":"value","__proto__":"x"}'),
  });
});

test('patchConfig puts the shell before a command in shell form', () => {
  assert.deepEqual(configAfter('CMD a "b"'), { Cmd: ['/bin/sh', '-c', 'a "b"'], ArgsEscaped: true });
  assert.deepEqual(configAfter('SHELL ["/bin/bash", "-c"]\nENTRYPOINT x'), {
    Shell: ['/bin/bash', '-c'],
    Entrypoint: ['/bin/bash', '-c', 'x'],
  });
  assert.deepEqual(configAfter('CMD ["$V"]', { Shell: ['x'] }), { Shell: ['x'], Cmd: ['$V'], ArgsEscaped: true });
});

test('patchConfig lets ENTRYPOINT reset an inherited CMD, but not one of the same stage in either order', () => {
  assert.deepEqual(configAfter('ENTRYPOINT ["e"]', { Cmd: ['inherited'] }), { Entrypoint: ['e'] });
  const both = { Entrypoint: ['e'], Cmd: ['own'], ArgsEscaped: true };
  assert.deepEqual(configAfter('CMD ["own"]\nENTRYPOINT ["e"]', { Cmd: ['inherited'] }), both);
  assert.deepEqual(configAfter('ENTRYPOINT ["e"]\nCMD ["own"]', { Cmd: ['inherited'] }), both);
});

test('patchConfig clears CMD and ENTRYPOINT with an empty array', () => {
  assert.deepEqual(configAfter('CMD []', { Cmd: ['x'] }), { ArgsEscaped: true });
  assert.deepEqual(configAfter('ENTRYPOINT []', { Entrypoint: ['x'], Cmd: ['y'] }), {});
});

test('patchConfig writes ports in their normal form', () => {
  assert.deepEqual(configAfter('EXPOSE 443 8000-8002/UDP $PORTS\nEXPOSE 127.0.0.1:1:7/sctp', { ExposedPorts: { '1/tcp': {} } }), {
    ExposedPorts: Object.fromEntries(
      ['1/tcp', '443/tcp', '8000/udp', '8001/udp', '8002/udp', '80/tcp', '53/udp', '7/sctp'].map((port) => [port, {}]),
    ),
  });
  assert.deepEqual(configAfter('EXPOSE $NONE'), {});
  for (const port of ['x', '70000', '9-8', '80/ip', '80/tcp/udp', '-1', '1-']) {
    assert.throws(() => configAfter(`EXPOSE ${port}`), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' }, port);
  }
});

test('patchConfig chains and cleans a relative WORKDIR and keeps an absolute one as it is written', () => {
  assert.deepEqual(configAfter('WORKDIR a\nWORKDIR ../b/./c/\nWORKDIR $V', { WorkingDir: '/base' }), { WorkingDir: '/base/b/c/value' });
  assert.equal(nextWorkdir(undefined, 'a b'), '/a b');
  assert.equal(nextWorkdir('/x', '//y//'), '//y//');
  assert.equal(cleanWorkdir('//y//'), '/y');
  assert.equal(cleanWorkdir('../y'), '/y');
  assert.equal(cleanWorkdir(undefined), '/');
  assert.equal(nextWorkdir('/x', '../../..'), '/');
  assert.equal(nextWorkdir('/x', ''), '/x');
  assert.equal(nextWorkdir('/x', '~'), '/x/~');
});

test('patchConfig keeps USER and STOPSIGNAL as given, and checks the signal', () => {
  assert.deepEqual(configAfter('USER $NONE', { User: 'app' }), {});
  assert.deepEqual(configAfter('USER "$V":7\nSTOPSIGNAL sigterm'), { User: 'value:7', StopSignal: 'sigterm' });
  for (const signal of ['9', 'SIGKILL', 'RTMIN+15', 'SIGRTMAX-14', '64', '100', '-9', '007'])
    assert.deepEqual(configAfter(`STOPSIGNAL ${signal}`), { StopSignal: signal });
  for (const signal of ['0', '-0', 'SIGNOPE', 'RTMIN+16', 'RTMAX-15', 'RTMIN+0', '9x', '$NONE']) {
    assert.throws(() => configAfter(`STOPSIGNAL ${signal}`), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' }, signal);
  }
});

test('patchConfig writes VOLUME, HEALTHCHECK and MAINTAINER', () => {
  assert.deepEqual(configAfter('VOLUME /a $V\nVOLUME ["/c d"]'), { Volumes: { '/a': {}, value: {}, '/c d': {} } });
  assert.deepEqual(configAfter('HEALTHCHECK NONE'), { Healthcheck: { Test: ['NONE'] } });
  assert.deepEqual(configAfter('HEALTHCHECK --interval=5s --retries=2 CMD a $V'), {
    Healthcheck: { Test: ['CMD-SHELL', 'a $V'], Interval: 5e9, Retries: 2 },
  });
  assert.deepEqual(configAfter('HEALTHCHECK CMD ["a"]'), { Healthcheck: { Test: ['CMD', 'a'] } });
  assert.equal(patch('MAINTAINER a b').author, 'a b');
});

test('patchConfig leaves the given config alone', () => {
  const config: ContainerConfig = Object.freeze({
    Env: Object.freeze(['A=1']),
    Labels: Object.freeze({ a: '1' }),
    Cmd: Object.freeze(['x']),
  });
  patch('ENV A=2\nLABEL a=2\nCMD y\nEXPOSE 1\nVOLUME /x\nENTRYPOINT z', config);
  assert.deepEqual(config, { Env: ['A=1'], Labels: { a: '1' }, Cmd: ['x'] });
});

test("expandInstruction leaves what is the shell's alone, and expands names and paths", () => {
  assert.deepEqual(
    instructionsOf('RUN $V\nCMD ["$V"]\nARG $V=$V\nCOPY --chown=$V "$V" ${V}x /$V').map((instruction) => {
      if (instruction.kind === 'run' || instruction.kind === 'cmd') return instruction.command;
      if (instruction.kind === 'arg') return instruction.declarations;
      return instruction.kind === 'copy' ? [instruction.chown, instruction.sources, instruction.destination] : undefined;
    }),
    [
      { form: 'shell', script: '$V' },
      { form: 'exec', argv: ['$V'] },
      [{ key: '$V', value: '$V' }],
      [
        'value',
        [
          { kind: 'path', path: 'value' },
          { kind: 'path', path: 'valuex' },
        ],
        '/value',
      ],
    ],
  );
  assert.throws(() => instructionsOf('ENV $NONE=1'), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' });
});

for (const [text, expected] of [
  ['RUN make', 'RUN |1 A=b /bin/sh -c make # buildkit'],
  ['RUN ["a", "b c"]', 'RUN |1 A=b a b c # buildkit'],
  ['RUN <<EOF\nx\ny\nEOF', 'RUN |1 A=b /bin/sh -c x\ny\n # buildkit'],
  ['SHELL ["/bin/bash", "-c"]\nRUN x', 'RUN |1 A=b /bin/bash -c x # buildkit'],
  ['COPY --from=x --chown=$V --chmod=755 a "$V" /b', 'COPY --chown=value --chmod=755 a value /b # buildkit'],
  ['WORKDIR x', 'WORKDIR /base/x'],
  ['ARG A=b B', 'ARG A=b B'],
  ['ENV A=$V C="d e"', 'ENV A=value C=d e'],
  ['LABEL a=b', 'LABEL a=b'],
  ['USER u', 'USER u'],
  ['CMD ["a", "b"]', 'CMD ["a" "b"]'],
  ['CMD a', 'CMD ["/bin/sh" "-c" "a"]'],
  ['ENTRYPOINT ["a"]', 'ENTRYPOINT ["a"]'],
  ['EXPOSE 9 80 $PORTS', 'EXPOSE [80/tcp 53/udp 80/tcp 9/tcp]'],
  ['VOLUME /a /b', 'VOLUME [/a /b]'],
  ['SHELL ["a", "b"]', 'SHELL [a b]'],
  ['STOPSIGNAL 9', 'STOPSIGNAL 9'],
  ['HEALTHCHECK NONE', 'HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" \'\\x00\'}'],
  ['HEALTHCHECK --interval=90m --retries=39 CMD x', 'HEALTHCHECK &{["CMD-SHELL" "x"] "1h30m0s" "0s" "0s" "0s" \'\\\'\'}'],
  ['CMD ["é\\u0001\\u200b"]', 'CMD ["é\\x01\\u200b"]'],
  ['MAINTAINER x', 'MAINTAINER x'],
] as const) {
  test(`createdBy tells ${JSON.stringify(text)} as the peers do`, () => {
    assert.equal(history(text, { WorkingDir: '/base' }, new Map([['A', 'b']])), expected);
  });
}

test('historyEntry marks an entry without a layer', () => {
  const [instruction] = instructionsOf('RUN x');
  assert.ok(instruction !== undefined);
  const entry = { created_by: 'RUN /bin/sh -c x # buildkit', comment: 'buildkit.dockerfile.v0' };
  assert.deepEqual(historyEntry(instruction, { config: {}, args: new Map(), layer: 'layer' }), entry);
  assert.deepEqual(historyEntry(instruction, { config: {}, args: new Map(), layer: 'empty' }), { ...entry, empty_layer: true });
});
