//! Our own browser script, in a real browser, served by the gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Delivery, ROUGH } from '../src/delivery.mjs'
import { properties } from '../src/comptoir.mjs'
import { eventually } from '../src/wait.mjs'

/** What Segment tells people to put on their pages, version 5.2. */
const SNIPPET = `!function(){var i="analytics",analytics=window[i]=window[i]||[];if(!analytics.initialize)if(analytics.invoked)window.console&&console.error&&console.error("Segment snippet included twice.");else{analytics.invoked=!0;analytics.methods=["trackSubmit","trackClick","trackLink","trackForm","pageview","identify","reset","group","track","ready","alias","debug","page","screen","once","off","on","addSourceMiddleware","addIntegrationMiddleware","setAnonymousId","addDestinationMiddleware","register"];analytics.factory=function(e){return function(){if(window[i].initialized)return window[i][e].apply(window[i],arguments);var n=Array.prototype.slice.call(arguments);if(["track","screen","alias","group","page","identify"].indexOf(e)>-1){var c=document.querySelector("link[rel='canonical']");n.push({__t:"bpc",c:c&&c.getAttribute("href")||void 0,p:location.pathname,u:location.href,s:location.search,t:document.title,r:document.referrer})}n.unshift(e);analytics.push(n);return analytics}};for(var n=0;n<analytics.methods.length;n++){var key=analytics.methods[n];analytics[key]=analytics.factory(key)}analytics.load=function(key,n){var t=document.createElement("script");t.type="text/javascript";t.async=!0;t.setAttribute("data-global-segment-analytics-key",i);t.src="https://cdn.segment.com/analytics.js/v1/"+key+"/analytics.min.js";var r=document.getElementsByTagName("script")[0];r.parentNode.insertBefore(t,r);analytics._loadOptions=n};analytics._writeKey="YOUR_WRITE_KEY";analytics.SNIPPET_VERSION="5.2.0";analytics.load("YOUR_WRITE_KEY");analytics.page()}}();`

export function scriptTests(comptoir, browser) {
  /** Prepares a source and a visitor; returns also what makes a page with the script on it, and what a test asks the visitor. */
  const set = async (t, name, schedule = ['pass']) => {
    const delivery = await Delivery.prepare(t, comptoir(), `script-${name}`, schedule)
    const context = await browser().visitor(t)
    const page = await context.newPage()
    const tag = attributes =>
      `<script async src="${delivery.proxy.url}/comptoir.js" data-write-key="${delivery.writeKey}" ${attributes}></script>`
    return {
      delivery,
      context,
      page,
      put: (path, attributes, body = '') => browser().site.page(`/${name}/${path}`, tag(attributes) + body),
      cookie: async () => (await context.cookies(delivery.proxy.url)).find(({ name }) => name === 'comptoir_id'),
      kept: () => page.evaluate(() => Object.keys(localStorage).sort()),
    }
  }
  const loaded = page => page.waitForFunction(() => typeof window.comptoir?.track === 'function')
  const send = (from, to) =>
    `<script>comptoir = window.comptoir || []; for (let n = ${from}; n < ${to}; n += 1) comptoir.push(['track', 'Numbered', { n }])</script>`

  test('comptoir.js: events survive a bad network and leaving the page', async t => {
    const { delivery, page, put, cookie } = await set(t, 'navigation', ROUGH)
    const pages = [0, 1, 2, 3, 4].map(number =>
      put(`${number}`, 'data-consent="opt-out"', send(number * 10, number * 10 + 10)),
    )

    for (const url of pages) {
      await page.goto(url)
      await loaded(page)
    }
    await delivery.arrived(55)
    const more = await delivery.untilEveryFaultHappened(55, index => page.evaluate(n => comptoir.track('Numbered', { n }), 50 + index))
    await eventually('all is acknowledged', () =>
      page.evaluate(() => !Object.keys(localStorage).some(key => key.startsWith('comptoir.m.'))),
    )
    const { value, httpOnly, sameSite } = await cookie()
    assert.deepEqual({ httpOnly, sameSite }, { httpOnly: true, sameSite: 'Lax' })
    const aliases = (await delivery.aliases('anonymous_id', value)).length
    const events = await delivery.check({ numbered: 50 + more, others: 5 + aliases, kind: 'anonymous_id', value })
    assert.equal(new Set(events.map(({ context }) => context.sessionId)).size, 1)
    assert.ok(events.every(({ context }) => context.userAgent.includes('Chrome') && context.page.url.startsWith('http')))
    delivery.everyFaultHappened()
  })

  test('comptoir.js: events that a page had no time to send go out without it', async t => {
    const { delivery, page, put, cookie } = await set(t, 'leaving')
    await page.goto(put('page', 'data-consent="opt-out" data-pages="off"', send(0, 1)))
    await delivery.arrived(1)

    await page.evaluate(() => {
      for (let n = 1; n < 20; n += 1) comptoir.track('Numbered', { n })
      location.href = 'about:blank'
    })

    await delivery.check({ numbered: 20, kind: 'anonymous_id', value: (await cookie()).value })
  })

  test('comptoir.js: what happens offline is sent when the network is back', async t => {
    const { delivery, context, page, put, cookie } = await set(t, 'offline')
    await page.goto(put('page', 'data-consent="opt-out" data-pages="off"', send(0, 5)))
    await delivery.arrived(5)
    const { posts } = delivery.proxy

    await context.setOffline(true)
    await page.evaluate(() => {
      for (let n = 5; n < 10; n += 1) comptoir.track('Numbered', { n })
    })
    await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 600)))
    assert.equal(delivery.proxy.posts, posts)
    await context.setOffline(false)

    await delivery.check({ numbered: 10, kind: 'anonymous_id', value: (await cookie()).value })
  })

  test('comptoir.js: without consent nothing is sent and nothing kept', async t => {
    const { delivery, page, put, cookie, kept } = await set(t, 'refusal')
    const url = put('page', '', send(0, 5))

    await page.goto(url)
    await loaded(page)
    await page.evaluate(() => document.dispatchEvent(new MouseEvent('mouseout', { clientY: -1 })))
    assert.deepEqual(await kept(), [])
    await page.evaluate(() => comptoir.consent({ analytics: false, advertising: false }))
    await page.goto(url)
    await loaded(page)
    await page.evaluate(() => new Promise(resolve => setTimeout(resolve, 600)))

    assert.equal(delivery.proxy.posts, 0)
    assert.equal(await cookie(), undefined)
    assert.deepEqual(await kept(), ['comptoir.consent'])
  })

  test('comptoir.js: what waited for consent is sent with it, and a withdrawal is the last', async t => {
    const { delivery, page, put, cookie, kept } = await set(t, 'consent')
    await page.goto(put('page', '', send(0, 5)))
    await loaded(page)
    assert.equal(delivery.proxy.posts, 0)

    await page.evaluate(() => comptoir.consent({ analytics: true, marketing: false }))
    await delivery.arrived(7)
    const { value } = await cookie()
    await page.evaluate(() => {
      comptoir.consent({ analytics: false })
      comptoir.track('Numbered', { n: 5 })
    })

    const events = await delivery.check({ numbered: 5, others: 3, kind: 'anonymous_id', value })
    const given = events.map(({ consents }) => consents?.find(({ purpose }) => purpose === 'analytics')?.state)
    assert.deepEqual(new Set(given), new Set(['CONSENT_STATE_GRANTED', 'CONSENT_STATE_DENIED']))
    await eventually('the cookie is gone', async () => !(await cookie()))
    await eventually('nothing is kept but the answer', async () => (await kept()).join() === 'comptoir.consent')
  })

  test("comptoir.js: Google's consent mode decides where it is followed", async t => {
    const { delivery, page, put, cookie } = await set(t, 'google')
    const banner = `<script>
      dataLayer = []
      function gtag() { dataLayer.push(arguments) }
      gtag('consent', 'default', { analytics_storage: 'denied', ad_storage: 'denied' })
    </script>`
    await page.goto(put('page', 'data-google="on"', banner + send(0, 3)))
    await loaded(page)
    assert.equal(delivery.proxy.posts, 0)

    await page.evaluate(() => gtag('consent', 'update', { analytics_storage: 'granted' }))

    await delivery.arrived(5)
    await delivery.check({ numbered: 3, others: 2, kind: 'anonymous_id', value: (await cookie()).value })
  })

  test("comptoir.js: the IAB's banners decide where they are followed, and their words go with every event", async t => {
    const { delivery, page, put, cookie } = await set(t, 'iab')
    // Purposes 1 and 5 to 9: storage, personalisation and analytics, no advertising. Not sold in the United States.
    const tcString = 'CQZCrAAQZCrAAAfABAFREsFgAI-AAAAAAAqIAAAAAAAA'
    const gppString = 'DBABLA~BVVVkkkkkpFY.YA'
    const banner = `<script>
      listeners = []
      __tcfapi = (command, version, listener) => {
        listeners.push(listener)
        listener({ gdprApplies: true, eventStatus: 'cmpuishown', purpose: { consents: {} } }, true)
      }
      __gpp = (command, listener) => listener({ pingData: {
        signalStatus: 'ready', gppString: '${gppString}', applicableSections: [7], parsedSections: { usnat: { SaleOptOut: 1 } },
      } }, true)
    </script>`
    await page.goto(put('page', 'data-iab="on"', banner + send(0, 3)))
    await loaded(page)
    assert.equal(delivery.proxy.posts, 0)

    await page.evaluate(tcString => {
      const consents = Object.fromEntries([1, 5, 6, 7, 8, 9].map(number => [number, true]))
      for (const listener of listeners) listener({ gdprApplies: true, eventStatus: 'useractioncomplete', tcString, purpose: { consents } }, true)
    }, tcString)

    await delivery.arrived(5)
    const events = await delivery.check({ numbered: 3, others: 2, kind: 'anonymous_id', value: (await cookie()).value })
    for (const { context } of events) {
      assert.deepEqual([context.consentSignals.tcString, context.consentSignals.gppString], [tcString, gppString])
      const { bases, grantedPurposes, deniedPurposes } = context.consentDecision
      assert.deepEqual([bases.sort(), deniedPurposes], [['BASIS_CATEGORIES', 'BASIS_GPP', 'BASIS_TCF'], ['advertising', 'precise_location']])
      assert.deepEqual(grantedPurposes, ['analytics', 'personalisation', 'storage'])
    }
  })

  test("comptoir.js: a page with Segment's snippet needs another address and nothing else", async t => {
    const { delivery, page } = await set(t, 'snippet')
    const snippet = SNIPPET.replace('https://cdn.segment.com', delivery.proxy.url).replaceAll('YOUR_WRITE_KEY', delivery.writeKey)
    await page.goto(browser().site.page('/snippet/page', `<script>${snippet}</script><script>
      early = window.analytics
      early.identify('${delivery.user}', { firstName: 'Ada' })
      for (let n = 0; n < 5; n += 1) early.track('Numbered', { n })
    </script>`))
    await page.waitForFunction(() => window.analytics.initialized)
    await page.evaluate(() => new Promise(resolve => early.ready(resolve)))
    await page.evaluate(() => {
      early.track('Numbered', { n: 5 })
      analytics.page('Docs', 'Index')
    })

    const events = await delivery.check({ numbered: 6, others: 3 })
    const pages = events.filter(({ pageViewed }) => pageViewed).map(({ pageViewed }) => pageViewed)
    assert.deepEqual(pages.map(({ title, category }) => [title, category]), [['/snippet/page', undefined], ['Index', 'Docs']])
  })

  test('comptoir.js: the cookie knows the visitor when the browser has lost the rest', async t => {
    const { delivery, page, put, cookie } = await set(t, 'cookie')
    const url = put('page', 'data-consent="opt-out"')
    await page.goto(url)
    await delivery.arrived(1)
    const { value } = await cookie()

    await page.evaluate(() => localStorage.clear())
    await page.goto(url)
    await delivery.arrived(2)

    await delivery.check({ numbered: 0, others: 2, kind: 'anonymous_id', value })
    assert.equal(await page.evaluate(() => comptoir.anonymousId()), value)
  })

  test('comptoir.js: one visitor on all hosts of the shop, and a stranger on other sites', async t => {
    const { delivery, context, page } = await set(t, 'hosts')
    const on = (host, url) => url.replace('127.0.0.1', host)
    const events = on('events.shop.test', delivery.proxy.url)
    const tag = `<script async src="${events}/comptoir.js" data-write-key="${delivery.writeKey}" data-consent="opt-out"></script>`
    const url = browser().site.page('/hosts/page', tag)
    const ids = []
    for (const host of ['www.shop.test', 'blog.shop.test', 'www.shop.test', 'elsewhere.test']) {
      await page.goto(on(host, url))
      await delivery.arrived(ids.length + 1)
      ids.push(await page.evaluate(() => comptoir.anonymousId()))
    }

    const cookies = await context.cookies()
    assert.deepEqual(cookies.map(({ name, domain, value }) => ({ name, domain, value })), [
      { name: 'comptoir_id', domain: 'events.shop.test', value: ids[0] },
    ])
    assert.deepEqual([ids[1], ids[2]], [ids[0], ids[0]])
    assert.notEqual(ids[3], ids[0])
    const seen = await eventually('three views are one visitor', async () => {
      const timeline = await delivery.comptoir.timeline('anonymous_id', ids[0])
      return timeline.length >= 3 && timeline
    })
    assert.equal(seen.length, 3)
  })

  test('comptoir.js: exit intent and hesitation are told once for each page', async t => {
    const { delivery, page, put, cookie } = await set(t, 'signals')
    await page.goto(put('page', 'data-consent="opt-out"', '<div style="height: 9000px">'))
    await loaded(page)

    await eventually('the exit is noticed', () =>
      page.evaluate(() => {
        window.heard ??= (document.addEventListener('comptoir', ({ detail }) => heard.push(detail.event)), [])
        document.dispatchEvent(new MouseEvent('mouseout', { clientY: -1, bubbles: true }))
        return heard.includes('Exit Intent')
      }),
    )
    await eventually('the scrolling is noticed', () =>
      page.evaluate(async () => {
        for (const y of [4000, 0, 4000, 0, 4000, 0]) {
          scrollTo(0, y)
          await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))
        }
        return heard.includes('Hesitation')
      }),
    )
    await page.evaluate(() => document.dispatchEvent(new MouseEvent('mouseout', { clientY: -1, bubbles: true })))
    await page.evaluate(() => comptoir.track('Numbered', { n: 0 }))

    await delivery.arrived(4)
    const events = await delivery.check({ numbered: 1, others: 3, kind: 'anonymous_id', value: (await cookie()).value })
    assert.deepEqual(events.map(({ name }) => name).sort(), ['Exit Intent', 'Hesitation', 'Numbered', 'Page Viewed'])
    assert.equal(properties(events.find(({ name }) => name === 'Hesitation')).signal, 'scroll')
  })

  test('comptoir.js: a page that shows another without loading is seen as another', async t => {
    const { delivery, page, put, cookie } = await set(t, 'history')
    await page.goto(put('page', 'data-consent="opt-out"'))
    await loaded(page)
    await page.evaluate(() => {
      history.pushState(null, '', '/history/other?utm_source=mail&utm_campaign=spring#top')
      history.replaceState(null, '', '/history/other?utm_source=mail&utm_campaign=spring#bottom')
    })
    await delivery.arrived(2)
    await page.goBack()

    const events = await delivery.check({ numbered: 0, others: 3, kind: 'anonymous_id', value: (await cookie()).value })
    const paths = events.map(({ context }) => context.page.path)
    assert.deepEqual(paths, ['/history/page', '/history/other', '/history/page'])
    assert.deepEqual(events[1].context.campaign, { name: 'spring', source: 'mail' })
    assert.match(events[1].context.page.referrer, /history\/page$/)
  })
}
