import { type Keep, read } from './keep'
import { uuid } from './message'

/** A visit: ends after half an hour without an event. */
export interface Session {
  id: string
  /** When it began, in milliseconds since 1970. */
  start: number
  /** How many visits there were with it. */
  number: number
}

interface Kept extends Session {
  last: number
}

const KEY = 'session'
const IDLE_MS = 30 * 60_000

/** Returns the visit in which something happens now, and prolongs it. All pages of the shop share it. */
export function touch(keep: Keep, now: number): Session {
  const known = read<Kept>(keep, KEY)
  const { id, start, last = 0, number = 0 } = known
  const goesOn = id && start && now - last < IDLE_MS && last <= now + IDLE_MS
  const session = goesOn ? { id, start, number } : { id: uuid(), start: now, number: number + 1 }
  keep.set(KEY, JSON.stringify({ ...session, last: now }))
  return session
}

/** Ends the visit, as if there had never been one. */
export function end(keep: Keep): void {
  keep.remove(KEY)
}
