//! Sets up `window.comptoir` on a page. The README says what the script's tag may say.
import { Comptoir } from './comptoir'
import { Consent } from './consent'
import { followGoogle } from './google'
import { Identity } from './identity'
import { StorageKeep } from './keep'
import { circumstances, moved } from './page'
import { Queue } from './queue'
import { Signals, watch } from './signals'
import { server, wire } from './wire'

type Calls = Pick<Comptoir, 'page' | 'track' | 'identify' | 'group' | 'alias' | 'consent' | 'reset' | 'anonymousId' | 'flush'>
type Call = [name: keyof Calls, ...args: unknown[]]

declare global {
  interface Window {
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
const settings = script?.dataset ?? {}
const writeKey = settings.writeKey

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
  const comptoir = new Comptoir({
    keep,
    queue,
    identity,
    consent,
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

  if (settings.google === 'on') followGoogle((window.dataLayer ??= []), answers => comptoir.consent(answers))
  if (settings.pages !== 'off') {
    comptoir.page()
    followHistory(() => comptoir.page())
  }
  early.forEach(call)
  if (settings.signals !== 'off') watch(signals)
  addEventListener('online', () => queue.flush())
  addEventListener('pagehide', () => comptoir.leave())
  addEventListener('pageshow', () => queue.stay())
  document.addEventListener('visibilitychange', () => (document.hidden ? comptoir.leave() : queue.stay()))
  queue.start()
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
  const base = new URL(settings.host ? `${settings.host.replace(/\/$/, '')}/` : '.', script.src).href
  if (document.prerendering) {
    document.addEventListener('prerenderingchange', () => begin(writeKey, base), { once: true })
  } else {
    begin(writeKey, base)
  }
}
