import type { Answers } from './consent'

/** What a banner said in words of its own, as the collector reads it in `context.consent`. */
export interface Said {
  tcString?: string
  gppString?: string
  gppSid?: number[]
  googleConsentMode?: Record<string, unknown>
}

interface TcData {
  gdprApplies?: boolean
  eventStatus?: string
  tcString?: string
  purpose?: { consents?: Record<number, boolean | undefined> }
}

interface GppPing {
  signalStatus?: string
  gppString?: string
  applicableSections?: number[]
  parsedSections?: Record<string, unknown>
}

/** The APIs of the IAB's frameworks, as a banner puts them on the page. */
export interface Apis {
  __tcfapi?: (command: string, version: number, listener: (data: TcData | null, success: boolean) => void) => void
  __gpp?: (command: string, listener: (event: { pingData?: GppPing } | null, success: boolean) => void) => void
}

/** What has to be agreed to for each of our purposes. Whoever counts visitors has to know them again, which needs storage as well. */
const PURPOSES: [string, number[]][] = [
  ['storage', [1]],
  ['analytics', [1, 8, 9]],
  ['advertising', [2, 3, 4, 7]],
  ['personalisation', [5, 6]],
]

/**
 * Follows the Transparency and Consent Framework: what the visitor answered goes to `tell`, and the string that proves it into `said`.
 * Where the law does not ask (`gdprApplies` is false), `free` hears of it. Returns whether the page has the API.
 */
export function followTcf(apis: Apis, said: Said, tell: (answers: Answers) => void, free: () => void): boolean {
  apis.__tcfapi?.('addEventListener', 2, (data, success) => {
    if (!success || !data) return
    if (data.gdprApplies === false) {
      free()
      return
    }
    // While the banner is shown nobody has answered.
    if (data.eventStatus !== 'tcloaded' && data.eventStatus !== 'useractioncomplete') return
    if (data.tcString) said.tcString = data.tcString
    const agreed = data.purpose?.consents ?? {}
    tell(Object.fromEntries(PURPOSES.map(([purpose, needs]) => [purpose, needs.every(number => agreed[number] === true)])))
  })
  return !!apis.__tcfapi
}

const OPT_OUTS = ['SaleOptOut', 'SharingOptOut', 'TargetedAdvertisingOptOut']

/**
 * Follows the Global Privacy Platform: its string goes into `said`, and what the sections of the United States say of selling and
 * advertising to `tell`. Returns whether the page has the API.
 */
export function followGpp(apis: Apis, said: Said, tell: (answers: Answers) => void): boolean {
  apis.__gpp?.('addEventListener', event => {
    const ping = event?.pingData
    if (ping?.signalStatus !== 'ready' || !ping.gppString) return
    said.gppString = ping.gppString
    said.gppSid = (ping.applicableSections ?? []).filter(id => id > 0)
    const ofStates = Object.entries(ping.parsedSections ?? {}).filter(([name]) => name.startsWith('us'))
    // A section may be in parts, of which the first is its core.
    const parts = ofStates.flatMap(([, section]) => section) as Record<string, unknown>[]
    const values = parts.flatMap(part => OPT_OUTS.map(name => part?.[name]))
    if (values.includes(1)) {
      tell({ advertising: false })
    } else if (values.includes(2)) {
      tell({ advertising: true })
    }
  })
  return !!apis.__gpp
}
