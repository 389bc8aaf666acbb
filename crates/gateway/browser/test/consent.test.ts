import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answers, Consent } from '../src/consent'
import { followGoogle } from '../src/google'
import type { Said } from '../src/iab'
import { FakeKeep } from './fakes'

test('nothing is allowed before the answer, unless the shop says otherwise', () => {
  const keep = new FakeKeep()

  assert.equal(new Consent(keep, 'opt-in', false).allows('analytics'), undefined)
  assert.equal(new Consent(keep, 'opt-out', false).allows('analytics'), true)
  assert.equal(new Consent(keep, 'opt-in', false).allows('necessary'), true)
  assert.equal(keep.values.size, 0)
})

test('answers are kept and may change', () => {
  const keep = new FakeKeep()
  const consent = new Consent(keep, 'opt-in', false)

  assert.ok(consent.update({ analytics: true, marketing: false }))
  assert.ok(!consent.update({ analytics: true }))
  assert.ok(consent.update({ analytics: false }))

  assert.deepEqual(new Consent(keep, 'opt-out', false).answers, { analytics: false, marketing: false })
})

test('the browser that says no to being sold is heard', () => {
  const consent = new Consent(new FakeKeep(), 'opt-out', true)
  consent.update({ advertising: true })

  assert.equal(consent.allows('advertising'), false)
})

test('what is spoilt in the storage is no answer', () => {
  const keep = new FakeKeep()
  keep.set('consent', '{"analytics":"yes","marketing":true}')
  assert.deepEqual(new Consent(keep, 'opt-in', false).answers, { marketing: true })
  keep.set('consent', '[')
  assert.deepEqual(new Consent(keep, 'opt-in', false).answers, {})
})

test("Google's consent mode is followed, before and after the script loads", () => {
  const told: Answers[] = []
  const dataLayer: unknown[] = []
  const gtag = (...args: unknown[]): void => void dataLayer.push(args)

  gtag('consent', 'default', { analytics_storage: 'denied', functionality_storage: 'granted', wait_for_update: 500 })
  const said: Said = {}
  followGoogle(dataLayer, said, answers => told.push(answers))
  assert.deepEqual(said, {}, 'nobody has answered')
  gtag('event', 'purchase')
  dataLayer.push(null, 'text', { event: 'gtm.js' })
  gtag('consent', 'update', { analytics_storage: 'granted', ad_storage: 'granted', ad_user_data: 'denied' })

  assert.deepEqual(told, [
    { personalisation: true },
    { analytics: true, advertising: false, personalisation: true },
  ])
  assert.equal(dataLayer.length, 6)
  assert.deepEqual(said.googleConsentMode, {
    ...{ analytics_storage: 'granted', functionality_storage: 'granted', ad_storage: 'granted', ad_user_data: 'denied' },
  })
})

test('what Google is told of some regions counts where it denies', () => {
  const told: Answers[] = []
  const dataLayer: unknown[] = [
    ['consent', 'default', { analytics_storage: 'denied', ad_storage: 'granted', region: ['FR'] }],
    ['consent', 'default', { analytics_storage: 'granted', personalization_storage: 'granted' }],
    ['consent', 'default', null],
  ]
  followGoogle(dataLayer, {}, answers => told.push(answers))
  assert.deepEqual(told, [{}, { personalisation: true }])

  dataLayer.push(['consent', 'update', { analytics_storage: 'granted' }])

  assert.deepEqual(told.at(-1), { analytics: true, personalisation: true })
})
