//! SDKs that run in pages, in a real browser. Each loads its settings from the gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { properties } from '../src/comptoir.mjs'
import { Delivery, ROUGH } from '../src/delivery.mjs'

const STRATEGIES = {
  standard: {},
  batching: { deliveryStrategy: { strategy: 'batching', config: { size: 2, timeout: 100 } } },
}

export function browserTests(comptoir, browser) {
  for (const [strategy, options] of Object.entries(STRATEGIES)) {
    test(`@segment/analytics-next 1.84, ${strategy} delivery`, async t => {
      const delivery = await Delivery.prepare(t, comptoir(), `analytics-next-${strategy}`, ROUGH)
      const pages = await segmentPages(browser(), delivery, options)

      const page = await (await browser().visitor(t)).newPage()
      await page.goto(pages.home)
      await delivery.arrived(32)
      await page.goto(pages.basket)
      const more = await delivery.untilEveryFaultHappened(63, index => page.evaluate(n => void send(n, n + 1), 60 + index))

      await delivery.check({ numbered: 60 + more, others: 3 })
    })
  }

  test('@segment/analytics-next 1.84, left in the middle of its retries', async t => {
    const mostlyFailing = Array(8).fill(['lost', 'unavailable', 'reset', 'pass']).flat()
    const delivery = await Delivery.prepare(t, comptoir(), 'analytics-next-left', mostlyFailing)
    const pages = await segmentPages(browser(), delivery, {})

    const page = await (await browser().visitor(t)).newPage()
    await page.goto(pages.home)
    await page.waitForFunction('done')
    await page.goto(pages.basket)

    await delivery.check({ numbered: 60, others: 3 })
  })

  test('@rudderstack/analytics-js 3.34', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'rudder-js', ROUGH)
    const { site } = browser()
    await site.bundle('/rudder.js', 'Rudder', '@rudderstack/analytics-js/bundled')
    const home = site.page('/rudder', `<script src="/rudder.js"></script><script>
      rudder = new Rudder.RudderAnalytics()
      rudder.load('${delivery.writeKey}', '${delivery.proxy.url}', { configUrl: '${delivery.proxy.url}' })
      rudder.page()
      rudder.identify('${delivery.user}')
      for (let n = 0; n < 20; n += 1) rudder.track('Numbered', { n })
    </script>`)

    const page = await (await browser().visitor(t)).newPage()
    await page.goto(home)

    await delivery.check({ numbered: 20, others: 2 })
    delivery.everyFaultHappened()
  })

  test('@segment/analytics-consent-tools 2.0 states consent with every event', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'consent-tools', ['lost'])
    const { site } = browser()
    await site.bundle('/analytics-next.js', 'Segment', '@segment/analytics-next')
    await site.bundle('/consent-tools.js', 'ConsentTools', '@segment/analytics-consent-tools')
    const home = site.page('/consent-tools', `<script src="/analytics-next.js"></script><script src="/consent-tools.js"></script><script>
      withConsent = ConsentTools.createWrapper({ getCategories: () => ({ Analytics: true, Advertising: false }) })
      analytics = new Segment.AnalyticsBrowser()
      withConsent(analytics)
      analytics.load({ writeKey: '${delivery.writeKey}', cdnURL: '${delivery.proxy.url}' })
      analytics.identify('${delivery.user}')
      for (let n = 0; n < 5; n += 1) analytics.track('Numbered', { n })
    </script>`)

    await (await (await browser().visitor(t)).newPage()).goto(home)

    const events = await delivery.check({ numbered: 5, others: 1 })
    for (const { consents } of events) {
      const answers = consents.map(({ purpose, state }) => [purpose, state])
      assert.deepEqual(answers, [['advertising', 'CONSENT_STATE_DENIED'], ['analytics', 'CONSENT_STATE_GRANTED']])
    }
  })

  test('pictures without any script', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'pixel', [])
    const query = `writeKey=${delivery.writeKey}&userId=${delivery.user}`
    const picture = path => `<img src="${delivery.proxy.url}/pixel/v1/${path}&${query}">`
    const mail = browser().site.page('/pixel', picture('page?name=Mail') + picture('track?event=Opened&properties.mail.number=7'))

    const page = await (await browser().visitor(t)).newPage()
    await page.goto(mail)

    const events = await delivery.check({ numbered: 0, others: 2 })
    assert.deepEqual(properties(events.find(({ name }) => name === 'Opened')), { mail: { number: '7' } })
    assert.ok(events.every(({ context }) => context.userAgent.includes('Chrome')))
    const sizes = await page.evaluate(() => Array.from(document.images, ({ naturalWidth }) => naturalWidth))
    assert.deepEqual(sizes, [1, 1])
  })
}

/** Puts two pages of a shop there that call the SDK as its documentation says: the settings come from our gateway. */
export async function segmentPages({ site }, delivery, options) {
  await site.bundle('/analytics-next.js', 'Segment', '@segment/analytics-next')
  const load = `<script src="/analytics-next.js"></script><script>
    done = false
    analytics = Segment.AnalyticsBrowser.load(
      { writeKey: '${delivery.writeKey}', cdnURL: '${delivery.proxy.url}' },
      { integrations: { 'Segment.io': ${JSON.stringify(options)} } },
    )
    send = async (from, to) => {
      for (let n = from; n < to; n += 1) {
        analytics.track('Numbered', { n })
        if (n % 3 === 0) await new Promise(resolve => setTimeout(resolve, 120))
      }
      done = true
    }
  </script>`
  const folder = `/${delivery.user}`
  return {
    home: site.page(`${folder}/home`, `${load}<script>analytics.page(); analytics.identify('${delivery.user}'); send(0, 30)</script>`),
    basket: site.page(`${folder}/basket`, `${load}<script>analytics.page(); send(30, 60)</script>`),
  }
}
