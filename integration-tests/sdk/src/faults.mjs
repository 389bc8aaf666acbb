//! A proxy before the gateway that fails by a schedule: the n-th POST meets the n-th fault of the list; after them all goes well.
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** What may become of a request. Those marked * reach the gateway, although the client learns nothing of it. */
export const FAULTS = {
  /** Nothing goes wrong. */
  pass: exchange => exchange.forward().then(answer => exchange.answer(answer)),
  /** Too many requests; come back in a second. */
  busy: exchange => exchange.refuse(429, { 'retry-after': '1' }),
  /** Too many requests, without saying until when. */
  busyForever: exchange => exchange.refuse(429, {}),
  /** Not available; come back in a second. */
  unavailable: exchange => exchange.refuse(503, { 'retry-after': '1' }),
  /** A gateway's error page that is no JSON. */
  badGateway: exchange => exchange.answer({ status: 502, headers: { 'content-type': 'text/html' }, body: Buffer.from('<html>') }),
  /** The connection breaks before anything was handed on. */
  reset: exchange => exchange.reset(),
  /** * The connection breaks before the answer. */
  lost: exchange => exchange.forward().then(() => exchange.reset()),
  /** * A 503 covers a success. */
  lie: exchange => exchange.forward().then(() => exchange.refuse(503, {})),
  /** * The connection breaks in the middle of the answer. */
  cut: exchange => exchange.forward().then(answer => exchange.cut(answer)),
  /** An answer that takes its time. */
  slow: exchange => exchange.forward().then(answer => pause(800).then(() => exchange.answer(answer))),
  /** * An answer that comes after the client has given up. */
  hang: exchange => exchange.forward().then(answer => pause(6000).then(() => exchange.answer(answer))),
}

export class FaultyProxy {
  #server
  #target
  #schedule
  #connections = new Set()
  #open = 0
  /** How often each fault happened. */
  happened = {}

  /** Starts one before `target` ("host:port"). */
  static async start(target, schedule) {
    const proxy = new FaultyProxy()
    proxy.#target = target
    proxy.#schedule = schedule
    proxy.#server = http.createServer((request, response) => proxy.#take(request, response))
    proxy.#server.on('connection', socket => {
      proxy.#connections.add(socket)
      socket.once('close', () => proxy.#connections.delete(socket))
    })
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    proxy.address = `127.0.0.1:${proxy.#server.address().port}`
    proxy.url = `http://${proxy.address}`
    return proxy
  }

  /** Whether nothing is on its way. */
  get idle() {
    return this.#open === 0
  }

  /** How many POST requests came. */
  get posts() {
    return Object.values(this.happened).reduce((sum, count) => sum + count, 0)
  }

  stop() {
    this.#server.close()
    for (const socket of this.#connections) socket.destroy()
  }

  async #take(request, response) {
    let fault = 'pass'
    if (request.method === 'POST') {
      fault = this.#schedule[this.posts] ?? 'pass'
      this.happened[fault] = (this.happened[fault] ?? 0) + 1
    }
    this.#open += 1
    try {
      const chunks = []
      for await (const chunk of request) chunks.push(chunk)
      await FAULTS[fault](new Exchange(this.#target, request, Buffer.concat(chunks), response))
    } catch {
      // The client or the gateway went away: so does the other's connection.
      request.socket.destroy()
    } finally {
      this.#open -= 1
    }
  }
}

class Exchange {
  constructor(target, request, body, response) {
    Object.assign(this, { target, request, body, response })
  }

  /** Hands the request to the gateway, `Host` included, and returns its whole answer. */
  async forward() {
    const { method, url, headers } = this.request
    const [host, port] = this.target.split(':')
    const outgoing = http.request({ host, port, method, path: url, headers, agent: false })
    outgoing.end(this.body)
    const [incoming] = await once(outgoing, 'response')
    const chunks = []
    for await (const chunk of incoming) chunks.push(chunk)
    return { status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(chunks) }
  }

  answer({ status, headers, body }) {
    const { 'transfer-encoding': _, ...kept } = headers
    this.response.writeHead(status, { ...kept, ...this.#cors(), 'content-length': body.length })
    this.response.end(body)
  }

  refuse(status, headers) {
    const body = Buffer.from(JSON.stringify({ code: 'INJECTED', message: 'the test wants it so' }))
    this.answer({ status, headers: { 'content-type': 'application/json', ...headers }, body })
  }

  /** Ends the connection with a TCP reset. */
  reset() {
    this.request.socket.resetAndDestroy()
  }

  async cut({ status, headers, body }) {
    this.response.writeHead(status, { ...headers, ...this.#cors(), 'content-length': body.length + 1 })
    await new Promise(resolve => this.response.write(body, resolve))
    this.reset()
  }

  /** What the gateway would say to a page; browsers hide an answer that does not say it. */
  #cors() {
    const { origin } = this.request.headers
    if (!origin) return {}
    return {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'retry-after',
      vary: 'origin',
    }
  }
}
