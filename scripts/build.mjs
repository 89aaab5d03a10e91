/**
 * src → dist: bundles that start fast (one file instead of hundreds; undici and listr2 in chunks of their own, loaded when
 * needed) and the declarations of the public API.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';

const ENTRIES = {
  index: 'src/index.ts',
  cli: 'src/cli/main.ts',
  'launch-helper': 'src/sandbox/launch-helper.ts',
  'network-worker': 'src/sandbox/network/network-worker.ts',
};
/** CommonJS inside the bundles asks for `require`, which an ES module does not have. */
const BANNER = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

const root = new URL('..', import.meta.url).pathname;
process.chdir(root);
async function build({ build: bundle }) {
  const fresh = `.build-dist-${process.pid}`;
  await bundle({
    entryPoints: Object.fromEntries(Object.entries(ENTRIES).filter(([, file]) => existsSync(file))),
    outdir: fresh,
    chunkNames: 'chunks/[name]-[hash]',
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20' },
    ...{ minifySyntax: true, minifyWhitespace: true, keepNames: true, legalComments: 'linked' },
    external: ['koffi'],
    plugins: [namedExports],
    banner: { js: BANNER },
    logLevel: 'warning',
  });
  if (!process.argv.includes('--no-types'))
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json', '--outDir', `${fresh}/types`], {
      stdio: 'inherit',
    });
  replaceDist(fresh);
}

/** By renames, so that a tsbuild that starts meanwhile finds a whole one. */
function replaceDist(fresh) {
  const old = `${fresh}-old`;
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(fresh, 'dist');
  rmSync(old, { recursive: true, force: true });
}

/**
 * `await import()` of a CommonJS package: Node finds its named exports, a bundled chunk has only the default one.
 * Such an import goes to a module that names them.
 */
const namedExports = {
  name: 'named-exports',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z@][\w@/-]*$/ }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import') return undefined;
      return { path, namespace: 'named-exports', pluginData: { resolveDir } };
    });
    onLoad({ filter: /.*/, namespace: 'named-exports' }, async ({ path, pluginData }) => {
      const module = await import(path);
      const names = Object.keys(module).filter((name) => name !== 'default' && name !== 'module.exports');
      const isCommonJs = names.every((name) => module.default?.[name] === module[name]);
      const contents = isCommonJs
        ? `import all from '${path}'; export default all; export const { ${names.join(', ')} } = all;`
        : `export * from '${path}'; ${'default' in module ? `export { default } from '${path}';` : ''}`;
      return { contents, resolveDir: pluginData.resolveDir };
    });
  },
};

/** `npm install --omit=dev` runs `prepare` too; then what was built before stays. */
async function loadEsbuild() {
  try {
    return await import('esbuild');
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND' && existsSync('dist/cli.js')) return undefined;
    throw error;
  }
}

const esbuild = await loadEsbuild();
if (esbuild !== undefined) await build(esbuild);
