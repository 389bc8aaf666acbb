/** What is kept beyond the page. A browser may refuse to keep anything; then it lasts as long as the page. */
export interface Keep {
  get(key: string): string | null
  /** Returns whether it is kept beyond the page. */
  set(key: string, value: string): boolean
  remove(key: string): void
  /** Returns the keys that begin so. */
  keys(prefix: string): string[]
}

const PREFIX = 'comptoir.'

/** Keeps in a `Storage`, under names of our own. */
export class StorageKeep implements Keep {
  private readonly lost = new Map<string, string>()

  constructor(private readonly storage: () => Storage) {}

  get(key: string): string | null {
    return this.attempt(storage => storage.getItem(PREFIX + key)) ?? this.lost.get(key) ?? null
  }

  set(key: string, value: string): boolean {
    const kept = this.attempt(storage => {
      storage.setItem(PREFIX + key, value)
      return true
    })
    if (kept) {
      this.lost.delete(key)
    } else {
      this.lost.set(key, value)
    }
    return !!kept
  }

  remove(key: string): void {
    this.lost.delete(key)
    this.attempt(storage => storage.removeItem(PREFIX + key))
  }

  keys(prefix: string): string[] {
    const stored = this.attempt(storage => Object.keys(storage)) ?? []
    const ours = stored.filter(key => key.startsWith(PREFIX)).map(key => key.slice(PREFIX.length))
    return [...ours, ...this.lost.keys()].filter(key => key.startsWith(prefix))
  }

  /** The storage may be forbidden, full, or gone. */
  private attempt<T>(use: (storage: Storage) => T): T | undefined {
    try {
      return use(this.storage())
    } catch {
      return undefined
    }
  }
}

/** Returns a kept object, or nothing when there is none or somebody has spoilt it. */
export function read<T extends object>(keep: Keep, key: string): Partial<T> {
  try {
    const value: unknown = JSON.parse(keep.get(key) ?? '{}')
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
