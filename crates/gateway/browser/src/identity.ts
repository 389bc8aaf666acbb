import { type Keep, read } from './keep'
import { uuid } from './message'

/** The server, which keeps the identifier in a cookie. */
export interface Server {
  /** Returns who the visitor is, by the cookie or else as proposed; nothing when there is no answer. */
  ask(proposed: string): Promise<string | undefined>
  /** Takes the cookie back. Returns whether that was done. */
  forget(): Promise<boolean>
}

interface Known {
  id: string
  /** When the server last said so; 0 when it never did. */
  confirmed: number
  /** Events went out with it before the server said so. */
  used: boolean
}

const KEY = 'visitor'
/** The cookie is refreshed when a day has passed. */
const CONFIRMED_MS = 86_400_000
/** How long events wait to be told whose they are. */
const PATIENCE_MS = 3000
/** How long a server that did not answer is left alone. */
const PAUSE_MS = 30_000

/**
 * The identifier of an anonymous visitor. The server's cookie decides; what is kept here only saves asking on every page. When
 * events had to go out under another identifier first, `onAlias` hears of it.
 */
export class Identity {
  private known: Known | undefined
  /** The server has yet to forget whom we have forgotten. */
  private owed: boolean
  private settling: Promise<void> | undefined
  private askAgain = 0
  private clearing: Promise<boolean> | undefined

  constructor(
    private readonly keep: Keep,
    private readonly server: Server,
    private readonly onAlias: (previous: string) => void,
    private readonly now: () => number = Date.now,
  ) {
    const { id, confirmed = 0, used = false, owed = false } = read<Known & { owed: boolean }>(keep, KEY)
    if (typeof id === 'string') this.known = { id, confirmed, used }
    this.owed = owed
    if (owed) void this.clear()
  }

  /** The identifier as far as it is known; nothing for whom was never seen. */
  get id(): string | undefined {
    return this.known?.id
  }

  /** Whether the identifier will not change any more on this page. */
  get settled(): boolean {
    return !!this.known && this.now() - this.known.confirmed < CONFIRMED_MS
  }

  /** Returns the identifier at once: events go out with it now. */
  use(): string {
    const known = this.draw()
    if (!known.confirmed && !known.used) {
      known.used = true
      this.save()
    }
    return known.id
  }

  /** Waits until the server has said who the visitor is, or has been given enough time. */
  settle(): Promise<void> {
    if (this.settled) return Promise.resolve()
    if (!this.settling) {
      if (this.now() < this.askAgain) return Promise.resolve()
      const known = this.draw()
      const answered = this.clear()
        .then(cleared => (cleared ? this.server.ask(known.id) : undefined))
        .then(id => this.learn(known, id))
      const patience = new Promise<void>(resolve => setTimeout(resolve, PATIENCE_MS))
      const settling = Promise.race([answered, patience]).finally(() => {
        if (this.settling === settling) this.settling = undefined
      })
      this.settling = settling
    }
    return this.settling
  }

  /** Forgets the visitor: the next one is somebody else. */
  forget(): void {
    if (!this.known) return
    this.known = undefined
    this.owed = true
    this.save()
    void this.clear()
  }

  private draw(): Known {
    if (!this.known) {
      this.known = { id: uuid(), confirmed: 0, used: false }
      this.save()
    }
    return this.known
  }

  /** Has the server forget, if it has to. Returns whether there is nothing left to forget. */
  private clear(): Promise<boolean> {
    if (!this.owed) return Promise.resolve(true)
    const before = this.settling
    this.settling = undefined
    return (this.clearing ??= (async () => {
      // At once, as the page may end now; and again if an answer on its way may have brought the cookie back.
      let cleared = await this.server.forget()
      if (before) {
        await before
        cleared = await this.server.forget()
      }
      this.owed = !cleared
      this.clearing = undefined
      this.save()
      return cleared
    })())
  }

  private learn(asked: Known, id: string | undefined): void {
    if (!id) this.askAgain = this.now() + PAUSE_MS
    // No answer, or forgotten meanwhile.
    if (!id || this.known !== asked) return
    const stranger = asked.used && id !== asked.id
    this.known = { id, confirmed: this.now(), used: false }
    this.save()
    if (stranger) this.onAlias(asked.id)
  }

  private save(): void {
    if (this.known || this.owed) {
      this.keep.set(KEY, JSON.stringify({ ...this.known, owed: this.owed }))
    } else {
      this.keep.remove(KEY)
    }
  }
}
