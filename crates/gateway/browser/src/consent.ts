import { type Keep, read } from './keep'

/** Answers by category: `analytics`, `advertising`, `personalisation`, `marketing`, or one of the shop's own. */
export type Answers = Record<string, boolean>

/** What holds before the visitor has answered: nothing is kept or sent (`opt-in`), or everything is allowed (`opt-out`). */
export type Mode = 'opt-in' | 'opt-out'

const KEY = 'consent'

/** What the visitor allows. The answers are kept, as not to be asked again is what a visitor wants. */
export class Consent {
  private given: Answers

  constructor(
    private readonly keep: Keep,
    public mode: Mode,
    /** Global Privacy Control: the browser says no to being sold, whatever a banner made of it. */
    private readonly privacyControl: boolean,
  ) {
    const kept = Object.entries(read<Answers>(keep, KEY))
    this.given = Object.fromEntries(kept.filter((entry): entry is [string, boolean] => typeof entry[1] === 'boolean'))
  }

  /** The answers, as far as there are any. */
  get answers(): Answers {
    return this.privacyControl ? { ...this.given, advertising: false } : this.given
  }

  /** Whether something may be done for this purpose; nothing when that is not yet known. */
  allows(purpose: string): boolean | undefined {
    return purpose === 'necessary' || (this.answers[purpose] ?? (this.mode === 'opt-out' ? true : undefined))
  }

  /** Takes answers beside those there are. Returns whether they change anything. */
  update(answers: Answers): boolean {
    const changed = Object.entries(answers).filter(
      ([purpose, answer]) => typeof answer === 'boolean' && this.given[purpose] !== answer,
    )
    if (changed.length === 0) return false
    this.given = { ...this.given, ...Object.fromEntries(changed) }
    this.keep.set(KEY, JSON.stringify(this.given))
    return true
  }
}
