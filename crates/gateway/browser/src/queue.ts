import type { Keep } from './keep'
import type { Message } from './message'

/** What became of a request. Status 0: no answer came. */
export interface Answer {
  status: number
  /** What `Retry-After` says, in seconds. */
  retryAfter?: number
}

/** How a queue reaches the collector. */
export interface Wire {
  /** Sends a body and waits for the answer. */
  post(body: string): Promise<Answer>
  /** Hands a body to the browser, to be sent after the page is gone. Returns whether the browser took it. */
  beacon(body: string): boolean
  /** Whether it is worth trying. */
  online(): boolean
}

const PREFIX = 'm.'
const MAX_MESSAGES = 1000
const MAX_BATCH = 50
/** Browsers let pages that are being left send 64 KiB altogether. */
const MAX_BYTES = 48_000
/** Well within the week in which the collector tells repetitions apart. */
const MAX_AGE_MS = 3 * 86_400_000
const GATHER_MS = 200
const LONGEST_WAIT_MS = 60_000
const LONGEST_RETRY_AFTER_S = 3600

/**
 * Messages that the collector has not acknowledged. Each is kept by itself under its own key, so that several pages of one shop
 * share the storage without spoiling each other's. What a page leaves behind the next one sends again: a message that did arrive
 * is told by its id.
 */
export class Queue {
  /** By key, in order. */
  private readonly pending = new Map<string, string>()
  /** Handed to the browser by `leave`; nobody knows whether they arrived. */
  private unsure = new Map<string, string>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private inFlight: ReadonlySet<string> = new Set()
  private left = false
  private failures = 0
  private batchLimit = MAX_BATCH

  constructor(
    private readonly keep: Keep,
    private readonly wire: Wire,
    private readonly writeKey: string,
    private readonly now: () => number = Date.now,
    private readonly random: () => number = Math.random,
  ) {}

  /** Takes up what earlier pages left behind. */
  start(): void {
    for (const key of this.keep.keys(PREFIX).sort()) {
      const json = this.keep.get(key)
      const age = this.now() - parseInt(key.slice(PREFIX.length), 36)
      if (json && age < MAX_AGE_MS) {
        this.pending.set(key, json)
      } else {
        this.keep.remove(key)
      }
    }
    this.flush()
  }

  /** Takes a message. The oldest makes room when there are too many. */
  add(message: Message): void {
    const key = `${PREFIX}${this.now().toString(36)}.${message.messageId}`
    const json = JSON.stringify(message)
    for (const oldest of this.pending.keys()) {
      if (this.pending.size < MAX_MESSAGES) break
      this.drop([oldest])
    }
    this.pending.set(key, json)
    this.keep.set(key, json)
    if (this.left) this.leave()
    this.timer ??= setTimeout(() => this.flush(), GATHER_MS)
  }

  /** How many messages are not acknowledged. */
  get size(): number {
    return this.pending.size + this.unsure.size
  }

  /** Sends now, whatever it was waiting for. */
  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    void this.send()
  }

  /** The page is being left, or put aside: the browser gets what no request carries yet. */
  leave(): void {
    this.left = true
    for (let batch = this.batch(); batch.length > 0; batch = this.batch()) {
      if (!this.wire.beacon(this.body(batch))) return
      for (const [key, json] of batch) {
        this.unsure.set(key, json)
        this.pending.delete(key)
      }
    }
  }

  /** The page is looked at again: what the browser was given is sent for certain. */
  stay(): void {
    if (!this.left) return
    this.left = false
    for (const [key, json] of this.unsure) this.pending.set(key, json)
    this.unsure = new Map()
    this.flush()
  }

  /** Returns the next messages that no request carries. */
  private batch(): [string, string][] {
    const batch: [string, string][] = []
    let bytes = 0
    for (const [key, json] of this.pending) {
      if (this.inFlight.has(key)) continue
      bytes += new TextEncoder().encode(json).length
      if (batch.length > 0 && (bytes > MAX_BYTES || batch.length >= this.batchLimit)) break
      batch.push([key, json])
    }
    return batch
  }

  private body(batch: [string, string][]): string {
    const sentAt = new Date(this.now()).toISOString()
    const envelope = JSON.stringify({ writeKey: this.writeKey, sentAt })
    return `${envelope.slice(0, -1)},"batch":[${batch.map(([, json]) => json).join(',')}]}`
  }

  private async send(): Promise<void> {
    if (this.inFlight.size > 0 || !this.wire.online()) return
    const batch = this.batch()
    if (batch.length === 0) return

    const keys = batch.map(([key]) => key)
    this.inFlight = new Set(keys)
    const answer = await this.wire.post(this.body(batch))
    this.inFlight = new Set()
    this.learn(answer, keys)
  }

  private learn({ status, retryAfter }: Answer, keys: string[]): void {
    const tooLarge = status === 413
    if (tooLarge && keys.length > 1) {
      this.batchLimit = keys.length >> 1
    } else if ((status >= 200 && status < 300) || status === 400 || tooLarge) {
      // What is not JSON to the collector will never be.
      this.drop(keys)
      this.failures = 0
    } else {
      this.failures += 1
      const backOff = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.failures) * (0.5 + this.random() / 2)
      const wait = retryAfter === undefined ? backOff : Math.min(retryAfter, LONGEST_RETRY_AFTER_S) * 1000
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.flush(), wait)
      return
    }
    if (this.pending.size > 0 && this.timer === undefined) this.flush()
  }

  private drop(keys: string[]): void {
    for (const key of keys) {
      this.pending.delete(key)
      this.keep.remove(key)
    }
  }
}
