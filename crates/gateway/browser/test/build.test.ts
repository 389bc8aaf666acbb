import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'

// Tests are run in the folder of package.json.
test('the script in the repository is what its source builds, and small', () => {
  const folder = mkdtempSync(`${tmpdir()}/comptoir-js-`)
  execFileSync(process.execPath, ['build.mjs', folder])
  const built = readFileSync(`${folder}/comptoir.js`)
  rmSync(folder, { recursive: true })

  assert.ok(built.equals(readFileSync('dist/comptoir.js')), 'run `npm run build` and commit dist/comptoir.js')
  assert.ok(gzipSync(built).length < 12_000)
})

test('the types hold', () => {
  execFileSync('node_modules/.bin/tsc', { stdio: 'inherit' })
})
