//! What every test of a client does: a source, a proxy that fails, and the question whether every event arrived once.
import assert from 'node:assert/strict'
import { properties } from './comptoir.mjs'
import { FaultyProxy } from './faults.mjs'
import { eventually } from './wait.mjs'

/** Every failure, with successes between them, so that nobody runs out of tries. */
export const EACH_FAILURE = [
  ...['unavailable', 'pass', 'lost', 'pass', 'pass', 'busy', 'pass', 'slow', 'reset', 'pass', 'lie', 'pass', 'pass'],
  ...['badGateway', 'pass', 'cut', 'pass', 'busyForever', 'pass'],
]

/** And more, for second and third tries. */
export const ROUGH = [...EACH_FAILURE, 'unavailable', 'pass', 'lost', 'busy', 'pass', 'reset', 'pass', 'lie']

export class Delivery {
  /** Prepares a source named `name` behind a proxy that fails by `schedule`. */
  static async prepare(t, comptoir, name, schedule) {
    const delivery = new Delivery()
    delivery.comptoir = comptoir
    delivery.user = `user-of-${name}`
    delivery.schedule = schedule
    Object.assign(delivery, await comptoir.createSource(name))
    delivery.proxy = await FaultyProxy.start(comptoir.address, schedule)
    t.after(() => delivery.proxy.stop())
    return delivery
  }

  /** Waits until `expected` events arrived and nothing is on its way any more. */
  async arrived(expected) {
    await eventually(`${expected} events are accepted`, async () => {
      const { accepted, quarantined } = await this.comptoir.counts(this.sourceId)
      return accepted + quarantined >= expected && this.proxy.idle
    }).catch(async error => {
      throw new Error(`${error.message}; ${await this.#state()}`)
    })
  }

  /**
   * Checks, once the client has ended, that the numbered events 0 to `numbered` − 1 and `others` more arrived exactly once, all of
   * them with one person, and returns that person's events.
   */
  async check({ numbered, others = 0, kind = 'user_id', value = this.user }) {
    const expected = numbered + others
    await this.arrived(expected)
    const { accepted, quarantined } = await this.comptoir.counts(this.sourceId)
    assert.equal(quarantined, 0, `dead letters: ${await this.comptoir.deadLetters(this.sourceId)}`)
    assert.equal(accepted, expected, `accepted events; ${await this.#state()}`)
    const events = await eventually('the person has all events', async () => {
      const timeline = await this.comptoir.timeline(kind, value)
      return timeline.length >= expected && timeline
    })
    const numbers = events.map(event => properties(event).n).filter(n => n !== undefined).sort((one, other) => one - other)
    assert.deepEqual(numbers, [...Array(numbered).keys()], 'every numbered event once')
    assert.equal(new Set(events.map(event => event.messageId)).size, expected, 'distinct message ids')
    return events
  }

  /** Returns the aliases among the events of a person: a page that is left too early tells later who it was. */
  async aliases(kind, value) {
    return (await this.comptoir.timeline(kind, value)).filter(({ aliased }) => aliased)
  }

  /** Checks that every failure of the schedule was met, so that the test tested what it says. */
  everyFaultHappened() {
    assert.deepEqual(this.#unmet(), [], `faults that never happened; ${JSON.stringify(this.proxy.happened)}`)
  }

  /** After `arrived` events, has more sent one by one, until every failure of the schedule was met. Returns how many more. */
  async untilEveryFaultHappened(arrived, sendOne) {
    let more = 0
    while (this.#unmet().length > 0) {
      await this.arrived(arrived + more)
      await sendOne(more)
      more += 1
    }
    return more
  }

  #unmet() {
    return [...new Set(this.schedule)].filter(fault => !this.proxy.happened[fault])
  }

  async #state() {
    return `counts ${JSON.stringify(await this.comptoir.counts(this.sourceId))}, faults ${JSON.stringify(this.proxy.happened)}`
  }
}
