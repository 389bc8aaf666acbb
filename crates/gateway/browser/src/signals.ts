/** Tells of a signal. */
export type Tell = (event: string, properties: Record<string, unknown>) => void

/** Pages on which hesitating says something. */
type Kind = 'product' | 'cart' | 'checkout'

const KINDS: [RegExp, Kind][] = [
  [/^(product (viewed|clicked)|(viewed|clicked) product)$/i, 'product'],
  [/^cart viewed$/i, 'cart'],
  [/checkout|^payment info entered$/i, 'checkout'],
]
/** Nobody has looked at a page that was just opened. */
const GLANCE_MS = 1000
const IDLE_MS = 20_000
const TURNS = 4
const TURNS_WITHIN_MS = 15_000
/** Shorter ways up and down are not looking for something. */
const TURN_SHARE = 0.25

/**
 * What a visitor does before leaving or while in two minds. Each signal is told once for each page view:
 * `Exit Intent` when the mouse leaves over the upper edge, `Hesitation` when nothing happens on a product, cart or checkout page for
 * 20 seconds, or when the page is scrolled up and down.
 */
export class Signals {
  private told = new Set<string>()
  private kind: Kind | undefined
  private begun: number
  private shown = true
  private timer: ReturnType<typeof setTimeout> | undefined
  private turns: number[] = []
  private extreme = 0
  private direction = 0

  constructor(
    private readonly tell: Tell,
    private readonly now: () => number = Date.now,
  ) {
    this.begun = now()
  }

  /** Another page is looked at. */
  page(category: unknown): void {
    this.told = new Set()
    this.begun = this.now()
    this.turns = []
    this.kind = KINDS.map(([, kind]) => kind).find(kind => kind === category)
    this.active()
  }

  /** An event says what kind of page this is. */
  event(name: string): void {
    const kind = KINDS.find(([names]) => names.test(name))?.[1]
    if (kind) this.kind = kind
    this.active()
  }

  /** The visitor did something. */
  active(): void {
    clearTimeout(this.timer)
    if (!this.shown || !this.kind || this.told.has('idle')) return
    this.timer = setTimeout(() => this.once('idle', 'Hesitation', { signal: 'idle', on: this.kind, seconds: IDLE_MS / 1000 }), IDLE_MS)
  }

  /** The page can be seen, or cannot. */
  show(shown: boolean): void {
    this.shown = shown
    this.active()
  }

  /** The mouse left the page at this height. */
  mouseLeft(y: number): void {
    if (y > 0 || this.now() - this.begun < GLANCE_MS) return
    this.once('exit', 'Exit Intent', { seconds: Math.round((this.now() - this.begun) / 1000), ...(this.kind && { on: this.kind }) })
  }

  /** The page was scrolled to here. */
  scrolled(y: number, viewport: number): void {
    this.active()
    const way = y - this.extreme
    if (Math.sign(way) === this.direction || this.direction === 0) {
      this.extreme = y
      this.direction = Math.sign(way)
      return
    }
    if (Math.abs(way) < viewport * TURN_SHARE) return
    this.extreme = y
    this.direction = Math.sign(way)
    const now = this.now()
    this.turns = [...this.turns.filter(turn => now - turn < TURNS_WITHIN_MS), now]
    if (this.turns.length >= TURNS) {
      this.once('scroll', 'Hesitation', { signal: 'scroll', turns: this.turns.length, ...(this.kind && { on: this.kind }) })
    }
  }

  private once(key: string, event: string, properties: Record<string, unknown>): void {
    if (this.told.has(key)) return
    this.told.add(key)
    this.tell(event, properties)
  }
}

/** Has the browser feed the signals. */
export function watch(signals: Signals): void {
  const on = (target: EventTarget, event: string, listener: (event: Event) => void): void =>
    target.addEventListener(event, listener, { passive: true, capture: true })
  on(document, 'mouseout', event => {
    const mouse = event as MouseEvent
    if (!mouse.relatedTarget) signals.mouseLeft(mouse.clientY)
  })
  for (const event of ['pointerdown', 'pointermove', 'keydown', 'input']) on(document, event, () => signals.active())
  on(window, 'scroll', () => signals.scrolled(window.scrollY, window.innerHeight))
  on(document, 'visibilitychange', () => signals.show(!document.hidden))
  signals.show(!document.hidden)
}
