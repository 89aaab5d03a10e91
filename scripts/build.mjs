/**
 * src → dist: bundles that start fast, and the declarations of the public API. `tsbuild.js` is all that the command line and the
 * public API need, in one file that Node opens once; modules that are imported late are functions in it, called then. Programs that
 * run in a process or a thread of their own are files of their own, and so are the larger packages, which are loaded when needed.
 * Bundles are CommonJS, which Node loads in less time than ES modules; `index.mjs` has the names of the public API.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

const ALL = `export * from './src/index.ts'; export const runCommandLine = () => import('./src/cli/main.ts');`;
const PROGRAMS = {
  'compiled-code': 'src/compiled-code.ts',
  'launch-helper': 'src/sandbox/launch-helper.ts',
  'network-worker': 'src/sandbox/network/network-worker.ts',
  'writing-worker': 'src/store/writing-worker.ts',
};
/** Packages that every start needs, and small ones. */
const BUNDLED = ['commander', 'picocolors', 'p-limit'];
/** Modules of Node that take long to load, and that a build with all steps in the cache does not use. */
const LATE =
  /^(child_process|dgram|dns|dns\/promises|fs\/promises|http|net|readline|stream|stream\/promises|timers\/promises|tls|tty|v8|worker_threads|zlib)$/;

const root = new URL('..', import.meta.url).pathname;
process.chdir(root);
async function build({ build: bundle }) {
  const fresh = `.build-dist-${process.pid}`;
  // Without `keepNames`, which defines each function's name anew at every start: the longest part of it.
  const options = {
    ...{ bundle: true, format: 'cjs', platform: 'node', target: 'node20', write: false, logLevel: 'warning' },
    ...{ minifySyntax: true, minifyWhitespace: true, legalComments: 'linked', outdir: fresh, external: ['koffi'] },
    define: { 'import.meta.url': '__fileUrl' },
    supported: { 'dynamic-import': false },
  };
  const packages = new Set();
  const own = { ...options, banner: { js: '"use strict";' }, plugins: [packagesApart(packages)] };
  const all = await bundle({ ...own, stdin: { contents: ALL, resolveDir: root, sourcefile: 'tsbuild.js' } });
  const programs = await bundle({ ...own, entryPoints: PROGRAMS });
  const apart = await bundle({ ...options, outdir: `${fresh}/packages`, entryPoints: [...packages] });
  for (const file of all.outputFiles) file.path = file.path.replace(/stdin(\.js[^/]*)$/, 'tsbuild$1');
  writeBundles([all, programs, apart].flatMap(({ outputFiles }) => outputFiles));
  writeFileSync(`${fresh}/package.json`, '{ "type": "commonjs" }\n');
  const names = Object.keys(createRequire(import.meta.url)(`${root}${fresh}/tsbuild.js`)).filter((name) => name !== 'runCommandLine');
  writeFileSync(`${fresh}/index.mjs`, `import all from './tsbuild.js';\nexport const { ${names.join(', ')} } = all;\n`);
  writeFileSync(`${fresh}/cli.js`, "require('./tsbuild.js').runCommandLine();\n");
  if (!process.argv.includes('--no-types')) {
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json', '--outDir', `${fresh}/types`], {
      stdio: 'inherit',
    });
    writeFileSync(`${fresh}/types/package.json`, '{ "type": "module" }\n');
  }
  replaceDist(fresh);
}

/** Compiled code that is kept (src/compiled-code.ts) is of these very files: their digest is written into them. */
function writeBundles(files) {
  const digest = createHash('sha256');
  for (const { contents } of files) digest.update(contents);
  const id = digest.digest('hex').slice(0, 16);
  for (const { path, text } of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, path.endsWith('/tsbuild.js') ? withFileUrl(withLateModules(text)) : withFileUrl(text.replace('BUNDLE_ID', id)));
  }
}

function withFileUrl(code) {
  if (!code.includes('__fileUrl')) return code;
  return code.replace('"use strict";', "$&const __fileUrl=require('node:url').pathToFileURL(__filename).href;");
}

/** Modules of Node that are `LATE` are not loaded where they are imported, but where something of them is first used. */
function withLateModules(code) {
  const modules = new Map();
  const forgotten = code.replace(
    /\b(import_\w+|childProcess)=(?:__toESM\()?require\("node:([\w/]+)"\)(?:,1\))?/g,
    (whole, variable, name) => {
      if (!LATE.test(name)) return whole;
      modules.set(variable, name.replace('/', '_'));
      return `${variable}=0`;
    },
  );
  const asked = forgotten.replace(/\b(import_\w+|childProcess)(?:\.default\b|(?=\.))/g, (whole, variable) =>
    modules.has(variable) ? `__late.${modules.get(variable)}` : whole,
  );
  for (const [used, variable] of asked.matchAll(/\b(import_\w+)(?![\w,;=])/g))
    if (modules.has(variable)) throw new Error(`A use of a late module that is not understood: ${used}`);
  const getters = [...new Set(modules.values())].map((name) => {
    const module = `node:${name.replace('_promises', '/promises')}`;
    return `get ${name}(){return __late_${name}??=require("${module}")}`;
  });
  const variables = [...new Set(modules.values())].map((name) => `__late_${name}`);
  return code === asked ? code : asked.replace('"use strict";', `$&var ${variables};const __late={${getters}};`);
}

/** By renames, so that a tsbuild that starts meanwhile finds a whole one. */
function replaceDist(fresh) {
  const old = `${fresh}-old`;
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(fresh, 'dist');
  rmSync(old, { recursive: true, force: true });
}

/** Large packages become files of their own; their names are put into `found`. */
function packagesApart(found) {
  return {
    name: 'packages-apart',
    setup({ onResolve }) {
      onResolve({ filter: /^[a-z@]/ }, ({ path, importer }) => {
        if (path.startsWith('node:') || path === 'koffi' || BUNDLED.includes(path) || importer.includes('/node_modules/')) return undefined;
        found.add(path);
        return { path: `./packages/${path}.js`, external: true };
      });
    },
  };
}

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
