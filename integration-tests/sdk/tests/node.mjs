//! SDKs of Node.js servers.
import { test } from 'node:test'
import { Analytics } from '@segment/analytics-node'
import LegacyAnalytics from 'analytics-node'
import Rudder from '@rudderstack/rudder-sdk-node'
import { Delivery, EACH_FAILURE } from '../src/delivery.mjs'

export function nodeTests(comptoir) {
  test('@segment/analytics-node 3.1', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'analytics-node', ['hang', ...EACH_FAILURE, 'lost'])
    const analytics = new Analytics({
      writeKey: delivery.writeKey,
      host: delivery.proxy.url,
      flushAt: 4,
      flushInterval: 100,
      httpRequestTimeout: 4000,
    })

    analytics.identify({ userId: delivery.user, traits: { firstName: 'Node' } })
    for (let n = 0; n < 79; n += 1) {
      analytics.track({ userId: delivery.user, event: 'Numbered', properties: { n } })
    }
    await analytics.closeAndFlush({ timeout: 80_000 })

    await delivery.check({ numbered: 79, others: 1 })
    delivery.everyFaultHappened()
  })

  test('@segment/analytics-node 3.1 with every call of the API', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'analytics-node-calls', ['lost', 'pass'])
    const analytics = new Analytics({ writeKey: delivery.writeKey, host: delivery.proxy.url, flushAt: 3 })
    const userId = delivery.user

    analytics.identify({ userId, anonymousId: 'node-anonymous', traits: { name: 'Node' } })
    analytics.page({ userId, name: 'Home', properties: { url: 'https://shop.example/' } })
    analytics.screen({ userId, name: 'Basket' })
    analytics.group({ userId, groupId: 'household-1' })
    analytics.alias({ userId, previousId: '0a2f6f0e-5a0e-4d5e-9d53-3f0a8c1f7d11' })
    analytics.track({ anonymousId: 'node-anonymous', event: 'Numbered', properties: { n: 0 }, timestamp: new Date() })
    await analytics.closeAndFlush()

    await delivery.check({ numbered: 1, others: 5 })
  })

  test('@rudderstack/rudder-sdk-node 3.0, gzip', async t => {
    const schedule = ['unavailable', 'pass', 'lost', 'pass', 'busy', 'pass', 'reset', 'pass', 'slow']
    const delivery = await Delivery.prepare(t, comptoir(), 'rudder-node', schedule)
    const rudder = new Rudder(delivery.writeKey, {
      dataPlaneUrl: delivery.proxy.url,
      flushAt: 5,
      flushInterval: 200,
      gzip: true,
    })

    for (let n = 0; n < 40; n += 1) {
      rudder.track({ userId: delivery.user, event: 'Numbered', properties: { n } })
    }

    await delivery.check({ numbered: 40 })
  })

  test('analytics-node 6.2, that many still use', async t => {
    const delivery = await Delivery.prepare(t, comptoir(), 'analytics-node-legacy', ['unavailable', 'pass', 'lost', 'busy', 'reset'])
    const analytics = new LegacyAnalytics(delivery.writeKey, { host: delivery.proxy.url, flushAt: 5, flushInterval: 100 })

    for (let n = 0; n < 40; n += 1) analytics.track({ userId: delivery.user, event: 'Numbered', properties: { n } })
    await analytics.flush()

    await delivery.check({ numbered: 40 })
    delivery.everyFaultHappened()
  })
}
