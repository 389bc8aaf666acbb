import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answers } from '../src/consent'
import { type Apis, type Said, followGpp, followTcf } from '../src/iab'

function set() {
  const [told, said]: [Answers[], Said] = [[], {}]
  let freed = 0
  let tcf: ((data: object | null, success: boolean) => void) | undefined
  let gpp: ((event: object | null, success: boolean) => void) | undefined
  const apis: Apis = {
    __tcfapi: (command, version, listener) => {
      assert.deepEqual([command, version], ['addEventListener', 2])
      tcf = listener
    },
    __gpp: (command, listener) => {
      assert.equal(command, 'addEventListener')
      gpp = listener
    },
  }
  const tell = (answers: Answers): void => void told.push(answers)
  assert.ok(followTcf(apis, said, tell, () => (freed += 1)))
  assert.ok(followGpp(apis, said, tell))
  return { told, said, freed: () => freed, tcf: tcf!, gpp: gpp! }
}

const agreed = (...numbers: number[]): object => ({ consents: Object.fromEntries(numbers.map(number => [number, true])) })

test('an answer to the TCF banner becomes answers to our purposes', () => {
  const { told, said, tcf } = set()

  tcf({ eventStatus: 'cmpuishown', tcString: 'CBEFORE', purpose: agreed() }, true)
  tcf(null, false)
  assert.deepEqual([told, said], [[], {}], 'nobody has answered')
  tcf({ gdprApplies: true, eventStatus: 'useractioncomplete', tcString: 'CSOME', purpose: agreed(1, 2, 7, 8, 9, 5, 6) }, true)
  assert.deepEqual(told.pop(), { storage: true, analytics: true, advertising: false, personalisation: true })
  tcf({ eventStatus: 'tcloaded', tcString: 'CNONE', purpose: agreed(8, 9) }, true)
  assert.deepEqual(told.pop(), { storage: false, analytics: false, advertising: false, personalisation: false })

  assert.deepEqual(said, { tcString: 'CNONE' })
})

test('where the GDPR does not apply nobody has to be asked', () => {
  const { told, said, freed, tcf } = set()

  tcf({ gdprApplies: false, eventStatus: 'tcloaded', tcString: 'CX' }, true)

  assert.deepEqual([told, said, freed()], [[], {}, 1])
})

test('the sections of the United States say no to being sold, and no more', () => {
  const { told, said, gpp } = set()
  const ping = (parsedSections: object, more: object = {}): object => ({
    pingData: { signalStatus: 'ready', gppString: 'DBABLA~B', applicableSections: [7, -1], parsedSections, ...more },
  })

  gpp(ping({}, { signalStatus: 'not ready' }), true)
  gpp(null, false)
  assert.deepEqual([told, said], [[], {}])
  gpp(ping({ usnat: [{ SaleOptOut: 2, SharingOptOut: 1 }, { Gpc: false }], tcfeuv2: { SaleOptOut: 2 } }), true)
  gpp(ping({ usca: { SaleOptOut: 2, SharingOptOut: 0 } }), true)
  gpp(ping({ tcfeuv2: {}, usva: { SaleOptOut: 0 } }), true)

  assert.deepEqual(told, [{ advertising: false }, { advertising: true }])
  assert.deepEqual(said, { gppString: 'DBABLA~B', gppSid: [7] })
})

test('a page without banners is no error', () => {
  const never = (): void => assert.fail('nobody answered')

  assert.deepEqual([followTcf({}, {}, never, never), followGpp({}, {}, never)], [false, false])
})
