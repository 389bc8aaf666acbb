//! A headless Chromium, and a shop's site for it to visit. The site's origin is not the collector's.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Hosts of shops, all on this machine.
  '--host-resolver-rules=MAP *.test 127.0.0.1',
]

export class Browser {
  #chromium
  #folder = mkdtempSync(join(tmpdir(), 'comptoir-browser-'))
  site

  static async start() {
    const browser = new Browser()
    browser.#chromium = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: FLAGS,
      env: { ...process.env, HOME: browser.#folder },
    })
    browser.site = await Site.start()
    return browser
  }

  async stop() {
    await this.#chromium.close()
    this.site.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Returns a visitor of the site who was never seen before; `t` is the test that ends the visit. */
  async visitor(t) {
    const context = await this.#chromium.newContext()
    t.after(() => context.close())
    return context
  }
}

/** A site whose pages the tests put there. */
class Site {
  #server
  #files = new Map()

  static async start() {
    const site = new Site()
    site.#server = http.createServer((request, response) => {
      const file = site.#files.get(new URL(request.url, 'http://site').pathname)
      if (!file) {
        response.writeHead(request.url === '/favicon.ico' ? 204 : 404).end()
        return
      }
      response.writeHead(200, { 'content-type': file.type, 'cache-control': 'no-store' }).end(file.text)
    })
    site.#server.listen(0, '127.0.0.1')
    await once(site.#server, 'listening')
    site.url = `http://127.0.0.1:${site.#server.address().port}`
    return site
  }

  /** Puts a page there and returns its address. */
  page(path, body) {
    const text = `<!doctype html><meta charset="utf-8"><title>${path}</title>${body}`
    this.#files.set(path, { type: 'text/html; charset=utf-8', text })
    return this.url + path
  }

  /** Puts a script there that sets `name` to what a package exports, as a shop's bundler would. */
  async bundle(path, name, packageName) {
    const { outputFiles } = await build({
      stdin: { contents: `export * from '${packageName}'`, resolveDir: dirname(fileURLToPath(import.meta.url)) },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: name,
      platform: 'browser',
      logLevel: 'error',
    })
    this.#files.set(path, { type: 'text/javascript', text: outputFiles[0].text })
  }

  stop() {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
