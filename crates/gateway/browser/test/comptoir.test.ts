import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Comptoir } from '../src/comptoir'
import { Consent, type Mode } from '../src/consent'
import type { Said } from '../src/iab'
import { Identity } from '../src/identity'
import type { Message } from '../src/message'
import { Queue } from '../src/queue'
import { FakeKeep, FakeTime, FakeWire, settled } from './fakes'

Object.assign(globalThis, { document: { title: 'A page' } })

function set(mode: Mode, keep = new FakeKeep()) {
  const [time, wire] = [new FakeTime(), new FakeWire()]
  const bodies: Message[] = []
  wire.post = async body => {
    bodies.push(...(JSON.parse(body) as { batch: Message[] }).batch)
    return { status: 200 }
  }
  wire.beacon = body => {
    bodies.push(...(JSON.parse(body) as { batch: Message[] }).batch)
    return true
  }
  const said: Said = {}
  let cookie: string | undefined
  const asked: string[] = []
  const server = {
    ask: async (proposed: string) => {
      asked.push('ask')
      return (cookie ??= proposed)
    },
    forget: async () => {
      asked.push('forget')
      cookie = undefined
      return true
    },
  }
  const comptoir: Comptoir = new Comptoir({
    keep,
    queue: new Queue(keep, wire, 'key', time.now),
    identity: new Identity(keep, server, previous => comptoir.alias(previous), time.now),
    consent: new Consent(keep, mode, false),
    said,
    now: time.now,
    circumstances: () => ({ library: { name: 'comptoir.js' } }),
    onMessage: () => undefined,
  })
  const names = (): unknown[] => bodies.map(({ type, event }) => event ?? type)
  return { time, keep, said, bodies, names, asked, comptoir, cookie: () => cookie }
}

const CONSENT = 'Segment Consent Preference Updated'

test('every event says who, in which visit, and with whose consent', async () => {
  const { time, bodies, comptoir, cookie } = set('opt-in')
  comptoir.consent({ analytics: true, marketing: false })
  comptoir.page('Home', { category: 'landing' })
  comptoir.identify('u1', { firstName: 'Ada' })
  comptoir.group('household')
  comptoir.track('Product Viewed', { product_id: 'p1' })
  await time.pass(1000)

  assert.deepEqual(bodies.map(({ type }) => type), ['track', 'page', 'identify', 'group', 'track'])
  for (const { messageId, anonymousId, context } of bodies) {
    assert.match(messageId, /^comptoir-[0-9a-f]{8}-[0-9a-f]{4}-4/)
    assert.equal(anonymousId, cookie())
    assert.deepEqual(context.consent, { categoryPreferences: { analytics: true, marketing: false } })
    assert.equal(context.sessionId, bodies[0]!.context.sessionId)
  }
  assert.deepEqual(bodies.map(({ userId }) => userId), [undefined, undefined, 'u1', 'u1', 'u1'])
  assert.deepEqual(bodies[1]!.properties, { title: 'A page', category: 'landing' })
  assert.deepEqual(bodies[0]!.context.session, { start: '2026-01-01T00:00:00.000Z', number: 1 })
})

test('without an answer nothing is sent, asked or kept, and a refusal destroys what was held', async () => {
  const { time, bodies, keep, asked, comptoir } = set('opt-in')
  comptoir.page()
  comptoir.identify('u1')
  await time.pass(60_000)
  assert.deepEqual([bodies, asked, [...keep.values]], [[], [], []])

  comptoir.consent({ marketing: false })
  await time.pass(1000)
  assert.deepEqual(bodies.map(({ event, userId, anonymousId }) => [event, userId, anonymousId]), [[CONSENT, 'u1', undefined]])
  comptoir.reset()
  comptoir.consent({ analytics: false })
  comptoir.track('Seen')
  await time.pass(60_000)

  assert.equal(bodies.length, 1)
  assert.deepEqual(asked, [])
  assert.deepEqual([...keep.values.keys()], ['consent'])
})

test('what waited for consent is sent with the time at which it happened', async () => {
  const { time, bodies, names, comptoir } = set('opt-in')
  comptoir.page()
  for (let n = 0; n < 150; n += 1) comptoir.track(`Seen ${n}`)
  await time.pass(5000)

  comptoir.consent({ analytics: true })
  await time.pass(1000)

  assert.deepEqual(names(), [CONSENT, ...Array.from({ length: 100 }, (_, n) => `Seen ${n + 50}`)])
  assert.equal(bodies[1]!.timestamp, '2026-01-01T00:00:00.000Z')
})

test('what is necessary needs no consent, and leaves nothing behind', async () => {
  const { time, bodies, keep, asked, comptoir } = set('opt-in')
  comptoir.consent({ analytics: false })
  comptoir.track('Order Completed', { order_id: 'o1' }, { purpose: 'necessary' })
  comptoir.track('Product Viewed')
  await time.pass(1000)

  assert.deepEqual(bodies.map(({ event }) => event), ['Order Completed'])
  assert.equal(bodies[0]!.context.sessionId, undefined)
  assert.deepEqual([asked, [...keep.values.keys()]], [[], ['consent']])
})

test('a withdrawal is the last that is told of a visitor', async () => {
  const { time, names, bodies, keep, asked, comptoir, cookie } = set('opt-out')
  comptoir.page()
  await time.pass(1000)
  const visitor = cookie()

  comptoir.consent({ analytics: false })
  comptoir.track('Seen')
  await time.pass(1000)

  assert.deepEqual(names(), ['page', CONSENT])
  assert.equal(bodies[1]!.anonymousId, visitor)
  assert.deepEqual(asked, ['ask', 'forget'])
  assert.deepEqual([...keep.values.keys()], ['consent'])
  assert.equal(comptoir.anonymousId(), undefined)
})

test('after logging out somebody else is there', async () => {
  const { time, bodies, comptoir } = set('opt-out')
  comptoir.identify('u1')
  await time.pass(1000)
  comptoir.reset()
  comptoir.page()
  await time.pass(1000)

  assert.notEqual(bodies[1]!.anonymousId, bodies[0]!.anonymousId)
  assert.equal(bodies[1]!.userId, undefined)
})

test('a customer stays known on the next page, a visit ends after half an hour', async () => {
  const first = set('opt-out')
  first.comptoir.identify('u1')
  await first.time.pass(1000)
  const next = set('opt-out', first.keep)
  next.comptoir.page()
  await next.time.pass(31 * 60_000)
  next.comptoir.page()
  await next.time.pass(1000)

  const [before, soon, later] = [...first.bodies, ...next.bodies]
  assert.equal(soon!.userId, 'u1')
  assert.equal(soon!.context.sessionId, before!.context.sessionId)
  assert.notEqual(later!.context.sessionId, soon!.context.sessionId)
  assert.equal((later!.context.session as { number: number }).number, 2)
})

test("a banner's own words go with every event, and free what waits where nobody has to be asked", async () => {
  const { time, bodies, said, comptoir } = set('opt-in')
  comptoir.track('Seen')
  said.tcString = 'CPXX'
  comptoir.free()
  comptoir.consent({ advertising: false })
  await time.pass(1000)

  assert.deepEqual(bodies.map(({ context }) => context.consent), [
    { tcString: 'CPXX' },
    { categoryPreferences: { advertising: false }, tcString: 'CPXX' },
  ])
})

test('a page left at once sends what it has', async () => {
  const { bodies, comptoir } = set('opt-out')
  comptoir.page()
  comptoir.leave()
  await settled()

  assert.equal(bodies.length, 1)
  assert.match(bodies[0]!.anonymousId!, /^[0-9a-f-]{36}$/)
})
