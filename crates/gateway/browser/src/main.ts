//! Sets up `window.comptoir` on a page. The README says what the script's tag may say.
import { Comptoir } from './comptoir'
import { type Answers, Consent } from './consent'
import { followGoogle } from './google'
import { Identity } from './identity'
import { type Apis, type Said, followGpp, followTcf } from './iab'
import { StorageKeep } from './keep'
import { circumstances, moved } from './page'
import { Queue } from './queue'
import { Signals, watch } from './signals'
import { type Early, snippet } from './snippet'
import { server, wire } from './wire'

type Calls = Pick<Comptoir, 'page' | 'track' | 'identify' | 'group' | 'alias' | 'consent' | 'reset' | 'anonymousId' | 'flush'>
type Call = [name: keyof Calls, ...args: unknown[]]

declare global {
  interface Window extends Apis {
    comptoir?: Call[] | (Calls & { push(...calls: Call[]): void })
    dataLayer?: unknown[]
  }
  interface Navigator {
    globalPrivacyControl?: boolean
  }
  interface Document {
    prerendering?: boolean
  }
}

const script = (document.currentScript ?? document.querySelector('script[data-write-key]')) as HTMLScriptElement | null
/** Where Segment's snippet looks for its script: it names the write key, and a global of the snippet's own has the calls. */
const loaded = script && /^(.*\/)analytics\.js\/v1\/([^/?#]+)\/analytics\.min\.js/.exec(script.src)
const globals = window as unknown as Record<string, (Early[] & { _loadOptions?: { comptoir?: DOMStringMap } }) | undefined>
const snippetName = script?.dataset.globalSegmentAnalyticsKey ?? 'analytics'
const snippetCalls = loaded ? globals[snippetName] : undefined
/** Whoever replaces Segment's script goes on as before: the page tells what was looked at, and asked for consent already. */
const settings: DOMStringMap = loaded
  ? { consent: 'opt-out', pages: 'off', signals: 'off', ...snippetCalls?._loadOptions?.comptoir }
  : (script?.dataset ?? {})
const writeKey = loaded ? loaded[2] : settings.writeKey

function begin(writeKey: string, base: string): void {
  const keep = new StorageKeep(() => localStorage)
  const now = Date.now
  const queue = new Queue(keep, wire(base), writeKey)
  const identity = new Identity(
    keep,
    server(base),
    previous => comptoir.alias(previous),
  )
  const consent = new Consent(keep, settings.consent === 'opt-out' ? 'opt-out' : 'opt-in', !!navigator.globalPrivacyControl)
  const said: Said = {}
  const comptoir = new Comptoir({
    keep,
    queue,
    identity,
    consent,
    said,
    now,
    circumstances,
    onMessage: message => {
      if (message.type === 'page') signals.page((message.properties as Record<string, unknown>).category)
      if (message.type === 'track') signals.event(message.event as string)
      document.dispatchEvent(new CustomEvent('comptoir', { detail: message }))
    },
  })
  const signals = new Signals((event, properties) => comptoir.track(event, properties))

  const call = ([name, ...args]: Call): unknown => {
    try {
      return (comptoir[name] as (...args: unknown[]) => unknown).apply(comptoir, args)
    } catch (error) {
      // Measuring a page must not break it.
      console.error('comptoir', name, error)
      return undefined
    }
  }
  const names: (keyof Calls)[] = ['page', 'track', 'identify', 'group', 'alias', 'consent', 'reset', 'anonymousId', 'flush']
  const early = Array.isArray(window.comptoir) ? window.comptoir : []
  window.comptoir = {
    ...(Object.fromEntries(names.map(name => [name, (...args: unknown[]) => call([name, ...args])])) as unknown as Calls),
    push: (...calls) => calls.forEach(call),
  }

  const answer = (answers: Answers): void => comptoir.consent(answers)
  if (settings.google === 'on') followGoogle((window.dataLayer ??= []), said, answer)
  if (settings.iab === 'on') {
    // A banner belongs before everything else, but may come last.
    later(() => followTcf(window, said, answer, () => comptoir.free()))
    later(() => followGpp(window, said, answer))
  }
  if (settings.pages !== 'off') {
    comptoir.page()
    followHistory(() => comptoir.page())
  }
  early.forEach(call)
  if (loaded) takeOver(comptoir)
  if (settings.signals !== 'off') watch(signals)
  addEventListener('online', () => queue.flush())
  addEventListener('pagehide', () => comptoir.leave())
  addEventListener('pageshow', () => queue.stay())
  document.addEventListener('visibilitychange', () => (document.hidden ? comptoir.leave() : queue.stay()))
  queue.start()
}

/** Tries now, and when the page has loaded. */
function later(attempt: () => boolean): void {
  if (!attempt()) addEventListener('load', attempt, { once: true })
}

/** Answers the snippet's calls, those that waited first. */
function takeOver(comptoir: Comptoir): void {
  const methods = snippet(comptoir)
  const call = ([name, ...args]: Early): void => {
    try {
      methods[name]?.(...args)
    } catch (error) {
      console.error('comptoir', name, error)
    }
  }
  const waiting = Array.isArray(snippetCalls) ? [...snippetCalls] : []
  const push = (...calls: Early[]): void => calls.forEach(call)
  Object.assign(window, { [snippetName]: { ...methods, initialized: true, initialize: true, invoked: true, push } })
  waiting.forEach(call)
}

/** Notices when a page shows another one without loading. */
function followHistory(onPage: () => void): void {
  const look = (): void => {
    // The page sets its title after its address.
    if (moved()) setTimeout(onPage)
  }
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name]
    history[name] = function (...args) {
      original.apply(this, args)
      look()
    }
  }
  addEventListener('popstate', look)
}

// A tag that stands twice works once, and a page that is only prepared is not looked at.
if (script && writeKey && !(window.comptoir && 'track' in window.comptoir)) {
  const home = loaded ? loaded[1] : '.'
  const base = new URL(settings.host ? `${settings.host.replace(/\/$/, '')}/` : home!, script.src).href
  if (document.prerendering) {
    document.addEventListener('prerenderingchange', () => begin(writeKey, base), { once: true })
  } else {
    begin(writeKey, base)
  }
}
