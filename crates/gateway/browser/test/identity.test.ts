import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Identity } from '../src/identity'
import { FakeKeep, FakeTime, settled } from './fakes'

const COOKIE = '0198c1f0-1111-4111-8111-111111111111'

/** A server with a cookie of the browser's. */
class Cookie {
  reachable = true
  asked = 0
  constructor(public value: string | undefined) {}
  async ask(proposed: string): Promise<string | undefined> {
    this.asked += 1
    return this.reachable ? (this.value ??= proposed) : undefined
  }
  async forget(): Promise<boolean> {
    if (this.reachable) this.value = undefined
    return this.reachable
  }
}

function set(cookie: string | undefined) {
  const [time, keep, server] = [new FakeTime(), new FakeKeep(), new Cookie(cookie)]
  const aliases: string[] = []
  const open = () => new Identity(keep, server, previous => aliases.push(previous), time.now)
  return { time, keep, server, aliases, open }
}

test('a new visitor gets the identifier that was proposed', async () => {
  const { server, open } = set(undefined)
  const identity = open()
  assert.equal(identity.id, undefined)

  await identity.settle()

  assert.equal(identity.id, server.value)
  assert.equal(identity.use(), server.value)
  assert.equal(open().id, server.value)
})

test('the cookie wins when the browser has lost the rest', async () => {
  const { aliases, open } = set(COOKIE)
  const identity = open()

  await identity.settle()

  assert.equal(identity.use(), COOKIE)
  assert.deepEqual(aliases, [])
})

test('the server is asked once a day', async () => {
  const { time, server, open } = set(COOKIE)
  await open().settle()
  await open().settle()
  assert.equal(server.asked, 1)

  await time.pass(86_400_000)
  await open().settle()

  assert.equal(server.asked, 2)
})

test('events that could not wait are joined to the visitor later', async () => {
  const { time, server, aliases, open } = set(COOKIE)
  server.reachable = false
  const page = open()
  void page.settle()
  const drawn = page.use()
  await time.pass(3000)

  server.reachable = true
  const next = open()
  assert.equal(next.id, drawn)
  await next.settle()

  assert.equal(next.id, COOKIE)
  assert.deepEqual(aliases, [drawn])
})

test('a server that does not answer is left alone for a while', async () => {
  const { time, server, open } = set(undefined)
  server.reachable = false
  const identity = open()
  for (let n = 0; n < 5; n += 1) await identity.settle()
  assert.equal(server.asked, 1)

  server.reachable = true
  await time.pass(30_000)
  await identity.settle()

  assert.equal(server.asked, 2)
  assert.ok(identity.settled)
})

test('nobody waits for ever', async () => {
  const { time, server, open } = set(COOKIE)
  server.ask = () => new Promise(() => undefined)
  const identity = open()
  let over = false
  void identity.settle().then(() => (over = true))

  await time.pass(3000)

  assert.ok(over)
})

test('who is forgotten comes back as somebody else', async () => {
  const { server, aliases, open } = set(COOKIE)
  const identity = open()
  await identity.settle()

  identity.forget()
  await identity.settle()

  assert.notEqual(identity.id, COOKIE)
  assert.equal(identity.id, server.value)
  assert.deepEqual(aliases, [])
})

test('forgetting is made up for when the server could not be reached', async () => {
  const { server, keep, open } = set(COOKIE)
  const identity = open()
  await identity.settle()
  server.reachable = false
  identity.forget()
  await settled()
  assert.equal(server.value, COOKIE)

  server.reachable = true
  open()
  await settled()

  assert.equal(server.value, undefined)
  assert.equal(keep.values.size, 0)
})
