import type { Answers } from './consent'

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
 * `dataLayer`. What is granted by default is; what is denied by default waits for the visitor's answer, the first update.
 */
export function followGoogle(dataLayer: unknown[], tell: (answers: Answers) => void): void {
  const states: Record<string, unknown> = {}
  let answered = false
  const take = (entry: unknown): void => {
    const [command, what, told] = Array.from((entry ?? []) as ArrayLike<unknown>)
    if (command !== 'consent' || typeof told !== 'object') return
    Object.assign(states, told)
    answered ||= what === 'update'
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
