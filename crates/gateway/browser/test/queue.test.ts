import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queue } from '../src/queue'
import { FakeKeep, FakeTime, FakeWire, message } from './fakes'

function set() {
  const [time, keep, wire] = [new FakeTime(), new FakeKeep(), new FakeWire()]
  const open = () => new Queue(keep, wire, 'key', time.now, () => 1)
  return { time, keep, wire, open, queue: open() }
}

test('messages are gathered, sent together, and forgotten once acknowledged', async () => {
  const { time, keep, wire, queue } = set()

  queue.add(message('a'))
  queue.add(message('b'))
  assert.equal(keep.keys('m.').length, 2)
  await time.pass(200)

  assert.deepEqual(wire.posts, [['a', 'b']])
  assert.deepEqual([queue.size, keep.keys('m.').length], [0, 0])
})

test('what is not acknowledged is sent again, later and later', async () => {
  const { time, wire, queue } = set()
  wire.answers.push(503, 0, 401)

  queue.add(message('a'))
  for (const wait of [200, 1000, 2000, 4000]) {
    await time.pass(wait - 1)
    const before = wire.posts.length
    await time.pass(1)
    assert.equal(wire.posts.length, before + 1)
  }

  assert.equal(queue.size, 0)
})

test('the server says when to come back, and new messages do not hasten it', async () => {
  const { time, wire, queue } = set()
  wire.answers.push({ status: 429, retryAfter: 30 })

  queue.add(message('a'))
  await time.pass(200)
  queue.add(message('b'))
  await time.pass(29_999)
  assert.equal(wire.posts.length, 1)
  await time.pass(1)

  assert.deepEqual(wire.posts[1], ['a', 'b'])
})

test('a message added while a request fails waits with it', async () => {
  const { time, wire, queue } = set()
  let answer = (_: { status: number; retryAfter: number }): void => undefined
  wire.answers.push(new Promise(resolve => (answer = resolve)))

  queue.add(message('a'))
  await time.pass(200)
  queue.add(message('b'))
  answer({ status: 503, retryAfter: 10 })
  await time.pass(9_999)
  assert.equal(wire.posts.length, 1)
  await time.pass(1)

  assert.deepEqual(wire.posts[1], ['a', 'b'])
})

test('what the collector cannot read is dropped, what is too much is halved', async () => {
  const { time, wire, queue } = set()
  wire.answers.push(413, 413, 200, 413, 400)

  for (const id of ['a', 'b', 'c', 'd']) queue.add(message(id))
  await time.pass(200)

  assert.deepEqual(wire.posts, [['a', 'b', 'c', 'd'], ['a', 'b'], ['a'], ['b'], ['c'], ['d']])
  assert.equal(queue.size, 0)
})

test('nothing is tried offline, everything at once when online again', async () => {
  const { time, wire, queue } = set()
  wire.isOnline = false

  queue.add(message('a'))
  await time.pass(3_600_000)
  assert.deepEqual(wire.posts, [])
  wire.isOnline = true
  queue.flush()
  await time.pass(0)

  assert.deepEqual(wire.posts, [['a']])
})

test('a page that is left hands over what no request carries, and the next page makes sure', async () => {
  const { time, wire, queue, open } = set()
  wire.answers.push(new Promise(() => undefined))
  queue.add(message('a'))
  await time.pass(200)
  queue.add(message('b'))

  queue.leave()
  queue.add(message('c'))
  open().start()
  await time.pass(200)

  assert.deepEqual(wire.posts[0], ['a'])
  assert.deepEqual(wire.beacons, [['b'], ['c']])
  assert.deepEqual(wire.posts[1]?.sort(), ['a', 'b', 'c'])
})

test('a page that is looked at again makes sure itself', async () => {
  const { time, wire, queue } = set()
  queue.add(message('a'))
  queue.leave()
  queue.leave()

  queue.stay()
  await time.pass(0)

  assert.deepEqual([wire.beacons, wire.posts], [[['a']], [['a']]])
  assert.equal(queue.size, 0)
})

test('a browser that takes no beacon leaves them to the next page', async () => {
  const { time, wire, queue, open } = set()
  wire.takesBeacons = false
  queue.add(message('a'))

  queue.leave()
  open().start()
  await time.pass(0)

  assert.deepEqual(wire.posts, [['a']])
})

test('what was left behind is sent in order, but not for ever', async () => {
  const { time, wire, keep, queue, open } = set()
  wire.isOnline = false
  queue.add(message('old'))
  await time.pass(3 * 86_400_000)
  queue.add(message('a'))
  await time.pass(5000)
  queue.add(message('b'))
  keep.set('m.spoilt', '{')

  wire.isOnline = true
  open().start()
  await time.pass(0)

  assert.deepEqual(wire.posts, [['a', 'b']])
  assert.equal(keep.keys('m.').length, 0)
})

test('requests and memory are bounded', async () => {
  const { time, wire, queue } = set()
  wire.isOnline = false
  for (let n = 0; n < 1100; n += 1) queue.add(message(`m${n}`, { large: 'é'.repeat(n % 100 === 0 ? 20_000 : 1) }))
  assert.equal(queue.size, 1000)

  wire.isOnline = true
  queue.flush()
  await time.pass(0)

  assert.equal(wire.posts.flat().length, 1000)
  assert.equal(wire.posts[0]?.[0], 'm100')
  assert.ok(wire.posts.every(post => post.length <= 50))
})
