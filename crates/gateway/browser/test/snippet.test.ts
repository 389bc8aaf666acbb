import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Comptoir } from '../src/comptoir'
import { snippet } from '../src/snippet'

/** Returns the methods of the snippet, and what they call. */
function set() {
  const calls: unknown[][] = []
  const comptoir = new Proxy({} as Comptoir, {
    get: (_, name) => (...args: unknown[]) => {
      calls.push([name, ...args])
      return name === 'anonymousId' ? 'visitor' : undefined
    },
  })
  return { calls, methods: snippet(comptoir) }
}

const NOTED = { __t: 'bpc', p: '/', u: 'https://shop.example/' }

test("the calls of Segment's snippet are ours, however they are written", () => {
  for (const [call, ours] of [
    [['track', 'Seen', { n: 1 }, { context: { a: 1 } }, NOTED], ['track', 'Seen', { n: 1 }, { context: { a: 1 } }]],
    [['track', 'Seen', NOTED], ['track', 'Seen', {}, {}]],
    [['page', NOTED], ['page', undefined, {}, {}]],
    [['page', 'Home', NOTED], ['page', 'Home', {}, {}]],
    [['page', 'Docs', 'Index', { n: 1 }, NOTED], ['page', 'Index', { category: 'Docs', n: 1 }, {}]],
    [['page', { n: 1 }, { context: {} }], ['page', undefined, { n: 1 }, { context: {} }]],
    [['identify', 'u1', { plan: 'gold' }], ['identify', 'u1', { plan: 'gold' }, undefined]],
    [['identify', 7], ['identify', 7, undefined, undefined]],
    [['identify', { plan: 'gold' }], ['identify', { plan: 'gold' }, undefined, undefined]],
    [['identify', null, { plan: 'gold' }], ['identify', { plan: 'gold' }, undefined, undefined]],
    [['group', 'g1', { size: 3 }], ['group', 'g1', { size: 3 }, {}]],
    [['alias', 'new', 'old'], ['alias', 'old', {}, 'new']],
    [['reset'], ['reset']],
  ] as const) {
    const { calls, methods } = set()
    const [name, ...args] = call
    methods[name]!(...args)
    assert.deepEqual(calls, [ours], JSON.stringify(call))
  }
})

test('who was known by no name before was known by the cookie', () => {
  const { calls, methods } = set()

  methods.alias!('new')

  assert.deepEqual(calls.at(-1), ['alias', 'visitor', {}, 'new'])
})

test('callbacks hear that it was done, and what sets the SDK up is no error', () => {
  const { calls, methods } = set()
  let heard = 0
  const hear = (): void => void (heard += 1)

  methods.ready!(hear)
  methods.track!('Seen', {}, {}, hear)
  methods.identify!('u1', hear)
  methods.addSourceMiddleware!(hear)
  methods.debug!()

  assert.equal(heard, 3)
  assert.deepEqual(calls.map(([name]) => name), ['track', 'identify'])
})
