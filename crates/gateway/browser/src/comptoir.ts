import type { Answers, Consent } from './consent'
import type { Said } from './iab'
import type { Identity } from './identity'
import type { Keep } from './keep'
import { type Message, uuid } from './message'
import type { Queue } from './queue'
import { end, touch } from './session'

export type Properties = Record<string, unknown>

export interface Options {
  /** What the event is needed for: `analytics` unless said. `necessary` needs no consent. */
  purpose?: string
  /** Circumstances that the page knows better than the script. */
  context?: Record<string, unknown>
}

/** What the script works with. */
export interface Parts {
  keep: Keep
  queue: Queue
  identity: Identity
  consent: Consent
  /** What the banner said in its own words; goes with every event. */
  said: Said
  now: () => number
  /** Describes the page and the browser. */
  circumstances: () => Record<string, unknown>
  /** Hears of every call that the visitor's consent lets through. */
  onMessage: (message: Message) => void
}

const USER = 'user'
/** How many calls wait for an answer to the question of consent. */
const MAX_HELD = 100

/** The calls that a page makes. */
export class Comptoir {
  /** Waiting for consent. Lives in memory only: a visitor who has not agreed leaves nothing behind. */
  private held: [Message, string][] = []
  /** Waiting to be told whose they are. */
  private nameless: Message[] = []
  private userId: string | undefined
  /** Who a visitor without consent is, to this page only. */
  private readonly passerBy = uuid()

  constructor(private readonly parts: Parts) {
    if (this.known) this.userId = parts.keep.get(USER) ?? undefined
  }

  /** The page was looked at. */
  page(name?: string, properties?: Properties, options?: Options): void {
    this.tell({ type: 'page', name, properties: { title: document.title, ...properties } }, options)
  }

  /** Something happened. */
  track(event: string, properties: Properties = {}, options?: Options): void {
    this.tell({ type: 'track', event, properties }, options)
  }

  /** The visitor is this customer, or has these traits: `identify('u1', {…})` or `identify({…})`. */
  identify(user: string | number | Properties, traits?: Properties, options?: Options): void {
    if (typeof user === 'object') {
      this.tell({ type: 'identify', traits: user }, options)
      return
    }
    this.userId = String(user)
    if (this.known) this.parts.keep.set(USER, this.userId)
    this.tell({ type: 'identify', traits: traits ?? {} }, options)
  }

  /** The visitor belongs to a group: a household, a company. */
  group(groupId: string, traits: Properties = {}, options?: Options): void {
    this.tell({ type: 'group', groupId, traits }, options)
  }

  /** The visitor was known by another identifier. */
  alias(previousId: string, options?: Options, userId?: string): void {
    this.tell({ type: 'alias', previousId, ...(userId && { userId }) }, options)
  }

  /** The visitor answered: `consent({ analytics: true, advertising: false })`. What was held back is sent or destroyed. */
  consent(answers: Answers): void {
    const { consent, identity } = this.parts
    if (!consent.update(answers)) return
    const event: Pick<Message, 'type'> & Properties = { type: 'track', event: 'Segment Consent Preference Updated', properties: {} }
    if (this.known) {
      if (this.userId) this.parts.keep.set(USER, this.userId)
      this.tell(event)
    } else if (identity.id || this.userId) {
      // A refusal by somebody known is itself told, and the last that is.
      this.tell({ ...event, anonymousId: identity.id }, { purpose: 'necessary' })
    }
    this.release()
    if (consent.allows('analytics') === false) this.forgetVisitor()
  }

  /** Nobody has to be asked here: what was not refused is allowed. */
  free(): void {
    this.parts.consent.mode = 'opt-out'
    this.release()
  }

  /** The customer has logged out: whoever comes next is somebody else. */
  reset(): void {
    this.forgetVisitor()
    this.userId = undefined
  }

  /** The identifier of the visitor; nothing without consent. */
  anonymousId(): string | undefined {
    return this.known ? this.parts.identity.id : undefined
  }

  /** The customer's identifier, as the page told it. */
  knownUser(): string | undefined {
    return this.userId
  }

  /** Sends what waits to be sent. */
  flush(): void {
    this.parts.queue.flush()
  }

  /** The page is being left. */
  leave(): void {
    this.nameNameless()
    this.parts.queue.leave()
  }

  /** Whether the visitor may be recognised. */
  private get known(): boolean {
    return this.parts.consent.allows('analytics') === true
  }

  private tell(call: Pick<Message, 'type'> & Properties, { purpose = 'analytics', context }: Options = {}): void {
    const { now, circumstances } = this.parts
    const message: Message = {
      ...call,
      messageId: `comptoir-${uuid()}`,
      timestamp: new Date(now()).toISOString(),
      context: { ...circumstances(), ...context },
    }
    this.submit(message, purpose)
  }

  /** What was held back is sent or destroyed, or waits on. */
  private release(): void {
    const held = this.held
    this.held = []
    for (const [message, purpose] of held) this.submit(message, purpose)
  }

  private submit(message: Message, purpose: string): void {
    const allowed = this.parts.consent.allows(purpose)
    if (allowed === undefined) {
      this.held = [...this.held.slice(1 - MAX_HELD), [message, purpose]]
    } else if (allowed) {
      this.take(message)
    }
  }

  private take(message: Message): void {
    const { queue, identity, consent, said, keep, now, onMessage } = this.parts
    if (this.userId) message.userId ??= this.userId
    const answered = Object.keys(consent.answers).length > 0
    const stated = { ...(answered && { categoryPreferences: consent.answers }), ...said }
    if (Object.keys(stated).length > 0) message.context.consent = stated
    onMessage(message)
    if (!this.known) {
      if (!message.userId) message.anonymousId ??= this.passerBy
      queue.add(message)
      return
    }
    const { id, start, number } = touch(keep, now())
    Object.assign(message.context, { sessionId: id, session: { start: new Date(start).toISOString(), number } })
    this.nameless.push(message)
    if (identity.settled) {
      this.nameNameless()
    } else {
      void identity.settle().then(() => this.nameNameless())
    }
  }

  private nameNameless(): void {
    const { queue, identity } = this.parts
    const nameless = this.nameless
    this.nameless = []
    for (const message of nameless) queue.add({ ...message, anonymousId: message.anonymousId ?? identity.use() })
  }

  private forgetVisitor(): void {
    const { identity, keep } = this.parts
    this.nameNameless()
    keep.remove(USER)
    end(keep)
    identity.forget()
  }
}
