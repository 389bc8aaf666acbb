import type { Keep } from '../src/keep'
import type { Message } from '../src/message'
import type { Answer, Wire } from '../src/queue'

/** Time that passes when the test says so. Stands in for the timers of the whole process. */
export class FakeTime {
  private at = Date.UTC(2026, 0, 1)
  private timers = new Map<number, { due: number; run: () => void }>()
  private last = 0
  readonly now = (): number => this.at

  constructor() {
    const set = (run: () => void, delay = 0): number => {
      this.timers.set((this.last += 1), { due: this.at + delay, run })
      return this.last
    }
    Object.assign(globalThis, { setTimeout: set, clearTimeout: (id: number) => this.timers.delete(id) })
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.at + milliseconds
    await settled()
    for (;;) {
      const [id, next] = [...this.timers].sort(([, one], [, other]) => one.due - other.due)[0] ?? []
      if (id === undefined || !next || next.due > end) break
      this.timers.delete(id)
      this.at = Math.max(this.at, next.due)
      next.run()
      await settled()
    }
    this.at = end
  }
}

/** Lets everything happen that waits for nothing. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
}

/** Keeps in memory, for several pages of a browser. */
export class FakeKeep implements Keep {
  readonly values = new Map<string, string>()
  get(key: string): string | null {
    return this.values.get(key) ?? null
  }
  set(key: string, value: string): boolean {
    this.values.set(key, value)
    return true
  }
  remove(key: string): void {
    this.values.delete(key)
  }
  keys(prefix: string): string[] {
    return [...this.values.keys()].filter(key => key.startsWith(prefix))
  }
}

/** A collector that answers as it is told: by what is in `answers`, then always with 200. */
export class FakeWire implements Wire {
  readonly posts: string[][] = []
  readonly beacons: string[][] = []
  readonly answers: (number | Answer | Promise<Answer>)[] = []
  isOnline = true
  takesBeacons = true

  async post(body: string): Promise<Answer> {
    this.posts.push(ids(body))
    const answer = this.answers.shift() ?? 200
    return typeof answer === 'number' ? { status: answer } : answer
  }

  beacon(body: string): boolean {
    if (this.takesBeacons) this.beacons.push(ids(body))
    return this.takesBeacons
  }

  online(): boolean {
    return this.isOnline
  }
}

function ids(body: string): string[] {
  return (JSON.parse(body) as { batch: Message[] }).batch.map(message => message.messageId)
}

export function message(messageId: string, more: object = {}): Message {
  return { type: 'track', messageId, timestamp: '', context: {}, ...more }
}
