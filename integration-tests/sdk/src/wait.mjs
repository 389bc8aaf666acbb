import { setTimeout as pause } from 'node:timers/promises'

/** Longest wait for anything, in milliseconds. */
const LIMIT = 90_000

/** Waits until a condition holds and returns what it returned. A condition that throws does not hold. */
export async function eventually(what, condition) {
  const end = Date.now() + LIMIT
  for (let problem; ; ) {
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      problem = error
    }
    if (Date.now() > end) throw new Error(`not so within ${LIMIT / 1000} s: ${what}`, { cause: problem })
    await pause(100)
  }
}
