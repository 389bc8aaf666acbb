import type { Answers } from './consent'
import type { Said } from './iab'

/** Where each of Google's consent types counts. Of several with one purpose, a refusal decides. */
const PURPOSES: Record<string, string> = {
  analytics_storage: 'analytics',
  ad_storage: 'advertising',
  ad_user_data: 'advertising',
  ad_personalization: 'advertising',
  personalization_storage: 'personalisation',
  functionality_storage: 'personalisation',
}

/**
 * Reads what a consent banner tells Google's consent mode: `gtag('consent', 'default' | 'update', {…})` pushes its arguments to
 * `dataLayer`. What is granted by default is; what is denied by default waits for the visitor's answer, the first update, which goes
 * into `said` as well. Where the visitor is, the script does not know: of defaults for some regions only, what they deny counts.
 */
export function followGoogle(dataLayer: unknown[], said: Said, tell: (answers: Answers) => void): void {
  const states: Record<string, unknown> = {}
  const deniedSomewhere = new Set<string>()
  let answered = false
  const take = (entry: unknown): void => {
    const [command, what, told] = Array.from((entry ?? []) as ArrayLike<unknown>)
    if (command !== 'consent' || typeof told !== 'object' || !told) return
    const isDefault = what !== 'update'
    const isRegional = isDefault && 'region' in told
    for (const [type, state] of Object.entries(told)) {
      if (isRegional ? state !== 'denied' : isDefault && deniedSomewhere.has(type)) continue
      if (isRegional) deniedSomewhere.add(type)
      states[type] = state
    }
    answered ||= !isDefault
    if (answered) {
      const known = Object.entries(states).filter(([, state]) => state === 'granted' || state === 'denied')
      said.googleConsentMode = Object.fromEntries(known)
    }
    const answers: Answers = {}
    for (const [type, purpose] of Object.entries(PURPOSES)) {
      const state = states[type]
      if (state !== 'granted' && state !== 'denied') continue
      answers[purpose] = state === 'granted' && answers[purpose] !== false
    }
    tell(answered ? answers : Object.fromEntries(Object.entries(answers).filter(([, answer]) => answer)))
  }

  const push = dataLayer.push
  dataLayer.forEach(take)
  dataLayer.push = function (...entries: unknown[]) {
    entries.forEach(take)
    return push.apply(dataLayer, entries)
  }
}
