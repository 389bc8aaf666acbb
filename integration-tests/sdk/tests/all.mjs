import { after, before, describe } from 'node:test'
import { Browser } from '../src/browser.mjs'
import { Comptoir } from '../src/comptoir.mjs'
import { browserTests } from './browsers.mjs'
import { hardshipTests } from './hardship.mjs'
import { nodeTests } from './node.mjs'
import { pythonTests } from './python.mjs'
import { scriptTests } from './script.mjs'

describe('unmodified SDKs deliver every event exactly once', { concurrency: true, timeout: 300_000 }, () => {
  let comptoir, browser
  before(async () => {
    comptoir = await Comptoir.start()
    browser = await Browser.start()
  })
  after(() => Promise.all([comptoir?.stop(), browser?.stop()]))

  nodeTests(() => comptoir)
  pythonTests(() => comptoir)
  browserTests(() => comptoir, () => browser)
  hardshipTests(() => browser)
  scriptTests(() => comptoir, () => browser)
})
