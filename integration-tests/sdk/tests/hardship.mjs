//! What no proxy can stand for: the gateway's own refusals, and a server that is killed while clients send.
import { test } from 'node:test'
import { Analytics } from '@segment/analytics-node'
import { segmentPages } from './browsers.mjs'
import { sendByPython } from './python.mjs'
import { Comptoir } from '../src/comptoir.mjs'
import { Delivery } from '../src/delivery.mjs'
import { eventually } from '../src/wait.mjs'

export function hardshipTests(browser) {
  test('Segment SDKs over the rate limit, and through a crash of the server', async t => {
    const comptoir = await Comptoir.start({ COMPTOIR__ACCESS__COLLECTS_PER_SECOND: '4' })
    t.after(() => comptoir.stop())
    const prepare = name => Delivery.prepare(t, comptoir, name, ['pass'])
    const [node, python, page] = await Promise.all([prepare('node'), prepare('python'), prepare('page')])

    const analytics = new Analytics({ writeKey: node.writeKey, host: node.proxy.url, flushAt: 2, flushInterval: 100 })
    for (let n = 0; n < 40; n += 1) analytics.track({ userId: node.user, event: 'Numbered', properties: { n } })
    const pythonEnds = sendByPython('segment-2.3', 'segment.analytics', python, 60)
    const pages = await segmentPages(browser(), page, {})
    await (await (await browser().visitor(t)).newPage()).goto(pages.home)
    await eventually('all are at work', async () => {
      const counts = await Promise.all([node, python, page].map(({ sourceId }) => comptoir.counts(sourceId)))
      return counts.every(({ accepted }) => accepted > 0)
    })
    await comptoir.crashAndRestart()

    await Promise.all([analytics.closeAndFlush({ timeout: 80_000 }), pythonEnds])
    await node.check({ numbered: 40 })
    await python.check({ numbered: 60, others: 1 })
    await page.check({ numbered: 30, others: 2 })
  })
}
