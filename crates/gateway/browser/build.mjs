// node build.mjs FOLDER           builds comptoir.js into the folder
// node build.mjs --tests FOLDER   builds the unit tests into the folder, for node --test
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const { version } = JSON.parse(readFileSync(`${here}package.json`, 'utf8'))
const shared = {
  absWorkingDir: here,
  bundle: true,
  target: 'es2020',
  define: { VERSION: JSON.stringify(version) },
  legalComments: 'none',
  logLevel: 'warning',
}

const [first, second] = process.argv.slice(2)
if (first === '--tests') {
  const tests = readdirSync(`${here}test`).filter(name => name.endsWith('.test.ts'))
  await build({
    ...shared,
    entryPoints: tests.map(name => `test/${name}`),
    platform: 'node',
    format: 'esm',
    outdir: second,
    outExtension: { '.js': '.mjs' },
  })
} else {
  await build({
    ...shared,
    entryPoints: ['src/main.ts'],
    minify: true,
    format: 'iife',
    outfile: `${first}/comptoir.js`,
  })
}
