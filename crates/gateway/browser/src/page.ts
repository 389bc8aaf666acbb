/** Where the visitor was before, within a page that changes its address without loading. */
let previous: string | undefined
let current = location.href

/** Notes that the address has changed. Returns whether another page is shown: a change behind the `#` is none. */
export function moved(): boolean {
  const withoutHash = (url: string): string => url.split('#')[0]!
  if (withoutHash(location.href) === withoutHash(current)) return false
  previous = current
  current = location.href
  return true
}

/** Describes page and browser. What the server sees by itself (address, user agent) is left to it. */
export function circumstances(): Record<string, unknown> {
  const { href, pathname, search } = location
  const query = new URLSearchParams(search)
  const campaign: Record<string, string> = {}
  query.forEach((value, key) => {
    if (key.startsWith('utm_')) campaign[key === 'utm_campaign' ? 'name' : key.slice(4)] = value
  })
  return {
    library: { name: 'comptoir.js', version: VERSION },
    page: { url: href.split('#')[0], path: pathname, search, title: document.title, referrer: previous ?? document.referrer },
    ...(Object.keys(campaign).length > 0 && { campaign }),
    locale: navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen: { width: screen.width, height: screen.height, density: devicePixelRatio },
  }
}

declare const VERSION: string
