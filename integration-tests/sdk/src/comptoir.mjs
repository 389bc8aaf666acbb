//! A `comptoir up` of the tests' own: its process, and what its API tells about what arrived.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { eventually } from './wait.mjs'

const PROGRAM = process.env.COMPTOIR_BIN ?? 'comptoir'
const TENANT = 'sdk-tests'
const execute = promisify(execFile)

export class Comptoir {
  #process
  #folder = mkdtempSync(join(tmpdir(), 'comptoir-sdk-'))
  #env
  #key

  /** Starts it on a free port. `env` are settings, as COMPTOIR__SECTION__KEY. */
  static async start(env = {}) {
    const comptoir = new Comptoir()
    comptoir.#env = { ...process.env, COMPTOIR__TELEMETRY__LOG_FILTER: 'warn', ...env }
    await comptoir.#run('127.0.0.1:0')
    try {
      const of = ['--gateway', comptoir.url, '--data', comptoir.#folder]
      const { stdout } = await execute(PROGRAM, ['tenant', 'create', TENANT, ...of])
      comptoir.#key = stdout.trim()
    } catch (error) {
      await comptoir.stop()
      throw error
    }
    return comptoir
  }

  /** Kills it, as a crash would, and starts it again at the same address with what it had stored. */
  async crashAndRestart() {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
    await this.#run(this.address)
  }

  /** Stops it and removes what it stored. */
  async stop() {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #run(listen) {
    const args = ['up', '--listen', listen, '--data', this.#folder]
    this.#process = spawn(PROGRAM, args, { env: this.#env, stdio: ['ignore', 'ignore', 'pipe'] })
    this.address = await new Promise((resolve, reject) => {
      const said = []
      createInterface(this.#process.stderr).on('line', line => {
        said.push(line)
        const address = /serves on http:\/\/(\S+)/.exec(line)?.[1]
        if (address) resolve(address)
      })
      this.#process.once('error', reject)
      this.#process.once('exit', () => reject(new Error(`comptoir ended: ${said.join('\n')}`)))
    })
    this.url = `http://${this.address}`
    await eventually('comptoir is ready', async () => (await fetch(`${this.url}/readyz`)).ok)
  }

  /** Calls a unary RPC. */
  async call(method, body) {
    const response = await fetch(`${this.url}/comptoir.${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await response.json()
    if (!response.ok) throw Object.assign(new Error(`${method}: ${answer.code} ${answer.message}`), { status: response.status })
    return answer
  }

  /** Makes a source and returns its id and write key. */
  async createSource(name) {
    const { source, writeKey } = await this.call('ingestion.v1.SourceService/CreateSource', {
      source: { name, defaultCurrency: 'EUR' },
    })
    return { sourceId: source.sourceId, writeKey }
  }

  /** Returns what became of the events of a source: accepted, duplicate, quarantined. */
  async counts(sourceId) {
    const { sources = [] } = await this.call('ingestion.v1.IngestionService/SummarizeEvents', { sourceId })
    const counts = sources.find(source => source.sourceId === sourceId) ?? {}
    return Object.fromEntries(['accepted', 'duplicate', 'quarantined'].map(key => [key, Number(counts[key] ?? 0)]))
  }

  /** Returns the dead letters of a source, for saying what is wrong. */
  async deadLetters(sourceId) {
    const { deadLetters = [] } = await this.call('ingestion.v1.DeadLetterService/ListDeadLetters', { sourceId })
    return deadLetters.map(letter => `${letter.reason}: ${letter.message}`)
  }

  /** Returns all events of the person with this identifier, oldest first; none when nobody has it. */
  async timeline(kind, value) {
    let profile
    try {
      profile = (await this.call('identity.v1.IdentityService/GetProfile', { identifier: { kind, value } })).profile
    } catch (error) {
      if (error.status === 404) return []
      throw error
    }
    const events = []
    for (let pageToken = ''; ; ) {
      const request = { profileId: profile.profileId, pageSize: 500, pageToken }
      const page = await this.call('identity.v1.IdentityService/ListTimeline', request)
      events.push(...(page.events ?? []))
      pageToken = page.nextPageToken
      if (!pageToken) return events.reverse()
    }
  }
}

/** Returns the properties of an event that no typed field holds. */
export function properties(event) {
  return event.propertiesJson ? JSON.parse(Buffer.from(event.propertiesJson, 'base64').toString()) : {}
}

/** Returns what no typed field of the context holds. */
export function extra(event) {
  return event.context?.extraJson ? JSON.parse(Buffer.from(event.context.extraJson, 'base64').toString()) : {}
}
