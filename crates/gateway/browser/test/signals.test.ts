import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Signals } from '../src/signals'
import { FakeTime } from './fakes'

function set() {
  const time = new FakeTime()
  const told: [string, object][] = []
  const signals = new Signals((event, properties) => told.push([event, properties]), time.now)
  return { time, told, signals }
}

test('leaving over the upper edge is told once for each page view', async () => {
  const { time, told, signals } = set()
  signals.page(undefined)
  signals.mouseLeft(-1)
  await time.pass(4000)
  signals.mouseLeft(300)
  assert.deepEqual(told, [])

  signals.mouseLeft(0)
  signals.mouseLeft(-5)
  assert.deepEqual(told, [['Exit Intent', { seconds: 4 }]])

  signals.page(undefined)
  await time.pass(1000)
  signals.mouseLeft(0)
  assert.equal(told.length, 2)
})

test('doing nothing says something on pages where one decides', async () => {
  const { time, told, signals } = set()
  signals.page(undefined)
  await time.pass(60_000)
  assert.deepEqual(told, [])

  signals.event('Product Viewed')
  await time.pass(15_000)
  signals.active()
  await time.pass(19_999)
  assert.deepEqual(told, [])
  await time.pass(1)
  signals.active()
  await time.pass(60_000)

  assert.deepEqual(told, [['Hesitation', { signal: 'idle', on: 'product', seconds: 20 }]])
})

test('a page that is not looked at is not hesitated on', async () => {
  const { time, told, signals } = set()
  signals.show(false)
  signals.page('checkout')
  await time.pass(60_000)
  assert.deepEqual(told, [])

  signals.show(true)
  await time.pass(20_000)
  assert.deepEqual(told, [['Hesitation', { signal: 'idle', on: 'checkout', seconds: 20 }]])
})

test('scrolling up and down is told once, reading on is not', async () => {
  const { time, told, signals } = set()
  signals.page('product')
  for (let y = 0; y < 5000; y += 100) signals.scrolled(y, 800)
  for (const y of [4800, 4900, 4850, 4990]) signals.scrolled(y, 800)
  assert.deepEqual(told, [])

  for (const y of [4000, 5000, 4000, 5000, 4000, 5000]) {
    signals.scrolled(y, 800)
    await time.pass(500)
  }
  assert.deepEqual(told, [['Hesitation', { signal: 'scroll', turns: 4, on: 'product' }]])
})

test('turns that lie far apart are no hesitation', async () => {
  const { time, told, signals } = set()
  signals.page(undefined)
  for (const y of [1000, 0, 1000, 0, 1000, 0]) {
    signals.scrolled(y, 800)
    await time.pass(6000)
  }

  assert.deepEqual(told, [])
})
