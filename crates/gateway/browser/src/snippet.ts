import type { Comptoir, Options, Properties } from './comptoir'

/** Calls as Segment's snippet keeps them until its script is there: `['track', 'Product Viewed', {…}]`. */
export type Early = [method: string, ...args: unknown[]]

type Method = (...args: unknown[]) => unknown

/** Called by pages that set the SDK up; there is nothing here to set up. */
const IGNORED = [
  ...['debug', 'off', 'on', 'once', 'register', 'setAnonymousId', 'addSourceMiddleware', 'addIntegrationMiddleware'],
  'addDestinationMiddleware',
]

/**
 * Answers the calls of Segment's snippet, so that a page that loads `/analytics.js/v1/KEY/analytics.min.js` from here needs no change.
 */
export function snippet(comptoir: Comptoir): Record<string, Method> {
  const methods: Record<string, Method> = {}
  /** Calls with what is left of the arguments: callbacks hear of it at once, and what the snippet noted of the page is seen anyway. */
  const method = (name: string, call: (args: unknown[]) => void): void => {
    methods[name] = (...args) => {
      call(args.filter(arg => typeof arg !== 'function' && (arg as { __t?: unknown } | undefined)?.__t !== 'bpc'))
      for (const callback of args) if (typeof callback === 'function' && name !== 'ready') callback()
      return methods
    }
  }
  const view = (args: unknown[]): void => {
    const names = args.filter(arg => typeof arg === 'string')
    const [properties, options] = args.filter(arg => typeof arg === 'object')
    const category = names.length > 1 ? { category: names[0] } : {}
    comptoir.page(names[names.length - 1], { ...category, ...(properties as Properties) }, (options ?? {}) as Options)
  }
  const track = ([event, properties, options]: unknown[]): void =>
    comptoir.track(String(event), (properties ?? {}) as Properties, (options ?? {}) as Options)
  const person = (args: unknown[]): void => {
    const isNamed = typeof args[0] === 'string' || typeof args[0] === 'number'
    const [traits, options] = args.slice(isNamed ? 1 : 0).filter(arg => arg) as [Properties?, Options?]
    if (isNamed) {
      comptoir.identify(args[0] as string, traits, options)
    } else {
      comptoir.identify(traits ?? {}, undefined, options)
    }
  }

  method('track', track)
  method('page', view)
  method('pageview', () => comptoir.page())
  method('screen', view)
  method('identify', person)
  method('group', ([id, traits, options]) => comptoir.group(String(id), (traits ?? {}) as Properties, (options ?? {}) as Options))
  method('alias', ([to, from, options]) => {
    const previous = typeof from === 'string' ? from : comptoir.anonymousId()
    if (previous) comptoir.alias(previous, (options ?? {}) as Options, String(to))
  })
  method('reset', () => comptoir.reset())
  for (const [name, on] of [['trackClick', 'click'], ['trackLink', 'click'], ['trackForm', 'submit'], ['trackSubmit', 'submit']] as const) {
    // What is sent survives leaving the page: nobody has to wait for it.
    methods[name] = (elements, event, properties) => {
      const list = elements instanceof Element ? [elements] : Array.from((elements ?? []) as ArrayLike<Element>)
      const told = (element: Element, what: unknown): unknown => (typeof what === 'function' ? what(element) : what)
      for (const element of list) element.addEventListener(on, () => track([told(element, event), told(element, properties)]))
      return methods
    }
  }
  methods.ready = callback => {
    if (typeof callback === 'function') callback()
    return methods
  }
  methods.user = () => ({ id: () => comptoir.knownUser(), anonymousId: () => comptoir.anonymousId() })
  for (const name of IGNORED) methods[name] = () => methods
  return methods
}
