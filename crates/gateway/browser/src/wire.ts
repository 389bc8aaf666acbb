import type { Server } from './identity'
import type { Answer, Wire } from './queue'

const TIMEOUT_MS = 15_000
/** Browsers carry no more than 64 KiB over the end of a page. */
const MAX_KEPT_ALIVE = 60_000

/**
 * Reaches the collector at `base`. Bodies are sent as text, so that the browser need not ask the server first.
 */
export function wire(base: string): Wire {
  const url = `${base}v1/b`
  return {
    post: async body => {
      const response = await send(url, { body, keepalive: body.length < MAX_KEPT_ALIVE, credentials: 'omit' })
      const answer: Answer = { status: response?.status ?? 0 }
      const retryAfter = parseInt(response?.headers.get('retry-after') ?? '', 10)
      if (retryAfter >= 0) answer.retryAfter = retryAfter
      return answer
    },
    beacon: body => {
      try {
        return navigator.sendBeacon(url, body)
      } catch {
        return false
      }
    },
    online: () => navigator.onLine,
  }
}

/** Reaches the server that keeps the visitor's identifier. */
export function server(base: string): Server {
  const tell = (question: object): Promise<Response | undefined> =>
    send(`${base}v1/id`, { body: JSON.stringify(question), keepalive: true, credentials: 'include' })
  return {
    ask: async anonymousId => {
      const response = await tell({ anonymousId })
      try {
        return response?.ok ? (await response.json()).anonymousId : undefined
      } catch {
        return undefined
      }
    },
    forget: async () => !!(await tell({ forget: true }))?.ok,
  }
}

async function send(url: string, init: RequestInit): Promise<Response | undefined> {
  const patience = new AbortController()
  const timer = setTimeout(() => patience.abort(), TIMEOUT_MS)
  try {
    return await fetch(url, { method: 'POST', signal: patience.signal, ...init })
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
