/**
 * src → dist: bundles that start fast (one file instead of hundreds; undici and listr2 in chunks of their own, loaded when
 * needed) and the declarations of the public API.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';

const ENTRIES = { index: 'src/index.ts', cli: 'src/cli/main.ts', 'launch-helper': 'src/sandbox/launch-helper.ts' };
/** CommonJS inside the bundles asks for `require`, which an ES module does not have. */
const BANNER = "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

const root = new URL('..', import.meta.url).pathname;
process.chdir(root);
const esbuild = await loadEsbuild();
if (esbuild !== undefined) await build(esbuild);

async function build({ build: bundle }) {
  rmSync('dist', { recursive: true, force: true });
  await bundle({
    entryPoints: Object.fromEntries(Object.entries(ENTRIES).filter(([, file]) => existsSync(file))),
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20' },
    ...{ minifySyntax: true, minifyWhitespace: true, keepNames: true, legalComments: 'linked' },
    external: ['koffi'],
    banner: { js: BANNER },
    logLevel: 'warning',
  });
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json'], { stdio: 'inherit' });
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
