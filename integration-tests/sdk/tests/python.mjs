//! SDKs of Python. Version 2.3 of Segment's names its write key in the body only and knows no success but 200; 2.4 does otherwise.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Delivery, ROUGH } from '../src/delivery.mjs'

const PROGRAM = fileURLToPath(new URL('../python/send.py', import.meta.url))
const SDKS = [
  ['segment-analytics-python 2.4', 'segment-2.4', 'segment.analytics'],
  ['segment-analytics-python 2.3', 'segment-2.3', 'segment.analytics'],
  ['rudder-sdk-python 2.1', 'rudder', 'rudderstack.analytics'],
]

export function pythonTests(comptoir) {
  for (const [name, folder, module] of SDKS) {
    test(`${name}, gzip`, async t => {
      const delivery = await Delivery.prepare(t, comptoir(), `python-${folder}`, ['hang', ...ROUGH])

      assert.equal(await sendByPython(folder, module, delivery, 79), 0)
      await delivery.check({ numbered: 79, others: 1 })
      delivery.everyFaultHappened()
    })
  }
}

/** Sends an identify and `count` numbered events with the SDK of a folder; returns how its process ended. */
export async function sendByPython(folder, module, delivery, count) {
  const args = [PROGRAM, module, delivery.proxy.url, delivery.writeKey, delivery.user, String(count)]
  const child = spawn('python3', args, {
    env: { ...process.env, PYTHONPATH: `${process.env.PYTHON_PACKAGES}/${folder}`, PYTHONDONTWRITEBYTECODE: '1' },
    // The SDKs log every failure with its whole story.
    stdio: ['ignore', 'ignore', process.env.SHOW_SDK_LOGS ? 'inherit' : 'ignore'],
  })
  const [status] = await once(child, 'exit')
  return status
}
