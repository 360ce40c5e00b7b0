// Connections to relays. A subscription lives until it is replaced: after each reconnect it is asked for anew, with
// filters made at that moment, so that what came while a relay was away is not missed.

import { readEvent, type Event } from './event'

export type Filter = Record<string, unknown>

export interface Subscription {
  /** Made anew for every request, so that "since" can follow the time. */
  filters: () => Filter[]
  /** Events as they come, shapes checked, signatures not. One call for what a relay had stored, if it is not paged. */
  events: (list: Event[], relay: string, live: boolean) => void
  /** A relay has sent all that it had stored. */
  stored?: (relay: string) => void
  /** Go on asking for older ones until there are none. */
  paged?: boolean
}

export type LinkState = 'connecting' | 'up' | 'down'

/** What became of an event: a relay took it, all refused, or nobody can say. */
export type Outcome = { ok: true } | { ok: false; unclear: boolean; reason: string }

const firstBackoff = 500
const lastBackoff = 30_000
const okTimeout = 12_000
const silence = 45_000
/** A relay may send no more than this before it says that it is done. */
const maxBacklog = 20_000
const maxPages = 60

type Dial = (url: string) => WebSocket

export class Pool {
  readonly links = new Map<string, Link>()
  readonly subs = new Map<string, { id: string; sub: Subscription }>()
  #seq = 0
  #closed = false

  constructor(
    readonly changed: () => void = () => {},
    readonly dial: Dial = (url) => new WebSocket(url),
  ) {}

  /** Connects to these relays and lets others go. */
  use(urls: string[]): void {
    const want = new Set(urls)
    for (const [url, link] of this.links) {
      if (want.has(url)) continue
      link.close()
      this.links.delete(url)
    }
    for (const url of want) if (!this.links.has(url) && !this.#closed) this.links.set(url, new Link(this, url))
    this.changed()
  }

  subscribe(name: string, sub: Subscription): void {
    this.unsubscribe(name)
    const entry = { id: `${name}-${++this.#seq}`, sub }
    this.subs.set(name, entry)
    for (const l of this.links.values()) l.request(entry.id, sub)
  }

  unsubscribe(name: string): void {
    const old = this.subs.get(name)
    if (!old) return
    this.subs.delete(name)
    for (const l of this.links.values()) l.end(old.id)
  }

  /** The subscription that an id on the wire belongs to, if it still lives. */
  find(id: string): Subscription | undefined {
    for (const s of this.subs.values()) if (id === s.id || id.startsWith(s.id + '.')) return s.sub
    return undefined
  }

  /** Sends an event to all relays and returns when one has taken it, or none can any more. */
  async publish(e: Event): Promise<Outcome> {
    const frame = JSON.stringify(['EVENT', e])
    const answers = [...this.links.values()].map((l) => l.publish(e.id, frame))
    if (answers.length === 0) return { ok: false, unclear: false, reason: 'no relay' }
    const firstOK = Promise.any(answers.map((a) => a.then((r) => (r.ok ? r : Promise.reject(r)))))
    try {
      return await firstOK
    } catch {
      const all = (await Promise.all(answers)) as Extract<Outcome, { ok: false }>[]
      return all.find((a) => a.unclear) ?? all[0]!
    }
  }

  /** Wakes sleeping connections: the device is back. */
  wake(): void {
    for (const l of this.links.values()) l.wake()
  }

  get up(): number {
    return [...this.links.values()].filter((l) => l.state === 'up').length
  }

  close(): void {
    this.#closed = true
    this.use([])
  }
}

interface Page {
  sub: Subscription
  events: Event[]
  fresh: number
  oldest: number
  stored: boolean
  page: number
}

class Link {
  state: LinkState = 'connecting'
  error = ''
  #ws: WebSocket | undefined
  #backoff = firstBackoff
  #timer: ReturnType<typeof setTimeout> | undefined
  #alive: ReturnType<typeof setTimeout> | undefined
  #closed = false
  #pages = new Map<string, Page>()
  #pending = new Map<string, (o: Outcome) => void>()
  #waiting = new Set<() => void>()

  constructor(
    readonly pool: Pool,
    readonly url: string,
  ) {
    this.#connect()
  }

  #connect(): void {
    if (this.#closed) return
    this.state = 'connecting'
    let ws: WebSocket
    try {
      ws = this.pool.dial(this.url)
    } catch (e) {
      this.#down(String(e))
      return
    }
    this.#ws = ws
    ws.onopen = () => this.#up()
    ws.onclose = (e) => this.#ws === ws && this.#down(e.reason || 'closed')
    ws.onerror = () => {
      this.error = 'no connection'
    }
    ws.onmessage = (e) => {
      this.#watch()
      if (typeof e.data === 'string') this.#handle(e.data)
    }
    this.#watch()
  }

  #up(): void {
    this.state = 'up'
    this.error = ''
    this.#backoff = firstBackoff
    this.#pages.clear()
    for (const { id, sub } of this.pool.subs.values()) this.request(id, sub)
    for (const f of this.#waiting) f()
    this.#waiting.clear()
    this.pool.changed()
  }

  #down(why: string): void {
    clearTimeout(this.#alive)
    this.state = 'down'
    this.error ||= why
    this.#ws = undefined
    for (const f of this.#pending.values()) f({ ok: false, unclear: true, reason: 'connection lost' })
    this.#pending.clear()
    this.pool.changed()
    if (this.#closed) return
    this.#timer = setTimeout(() => this.#connect(), this.#backoff * (0.5 + Math.random()))
    this.#backoff = Math.min(this.#backoff * 2, lastBackoff)
  }

  /** Ends a connection that is silent: asks for a sign of life first. */
  #watch(): void {
    clearTimeout(this.#alive)
    this.#alive = setTimeout(() => {
      if (this.state === 'up') this.#send(['REQ', 'alive', { kinds: [0], limit: 1, ids: ['0'.repeat(64)] }])
      this.#alive = setTimeout(() => this.#drop(), okTimeout)
    }, silence)
  }

  #drop(): void {
    const ws = this.#ws
    if (!ws) return
    ws.onclose = null
    ws.close()
    this.#down('silent')
  }

  wake(): void {
    if (this.state === 'down') {
      clearTimeout(this.#timer)
      this.#backoff = firstBackoff
      this.#connect()
    } else if (this.state === 'up') {
      this.#send(['REQ', 'alive', { kinds: [0], limit: 1, ids: ['0'.repeat(64)] }])
      clearTimeout(this.#alive)
      this.#alive = setTimeout(() => this.#drop(), okTimeout)
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#alive)
    this.#ws?.close()
    for (const f of this.#waiting) f()
  }

  #send(frame: unknown[]): void {
    if (this.state === 'up' && this.#ws?.readyState === 1) this.#ws.send(JSON.stringify(frame))
  }

  request(id: string, sub: Subscription): void {
    const filters = sub.filters()
    if (this.state !== 'up' || filters.length === 0) return
    this.#pages.set(id, { sub, events: [], fresh: 0, oldest: Infinity, stored: false, page: 0 })
    this.#send(['REQ', id, ...filters])
  }

  end(id: string): void {
    for (const key of this.#pages.keys()) {
      if (key !== id && !key.startsWith(id + '.')) continue
      this.#pages.delete(key)
      this.#send(['CLOSE', key])
    }
  }

  async publish(id: string, frame: string): Promise<Outcome> {
    if (this.state !== 'up' && !(await this.#becomesUp())) return { ok: false, unclear: false, reason: this.error || 'not connected' }
    return new Promise((resolve) => {
      const timer = setTimeout(() => done({ ok: false, unclear: true, reason: 'no answer' }), okTimeout)
      const done = (o: Outcome): void => {
        clearTimeout(timer)
        this.#pending.delete(id)
        resolve(o)
      }
      this.#pending.set(id, done)
      this.#ws!.send(frame)
    })
  }

  #becomesUp(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), okTimeout)
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve(this.state === 'up' && !this.#closed)
      }
      this.#waiting.add(done)
    })
  }

  #handle(data: string): void {
    let m: unknown
    try {
      m = JSON.parse(data)
    } catch {
      return
    }
    if (!Array.isArray(m) || typeof m[1] !== 'string') return
    const id = m[1]
    switch (m[0]) {
      case 'EVENT':
        this.#event(id, m[2])
        break
      case 'EOSE':
        this.#eose(id)
        break
      case 'OK': {
        const words = typeof m[3] === 'string' ? m[3] : ''
        const ok = m[2] === true || words.startsWith('duplicate:')
        this.#pending.get(id)?.(ok ? { ok } : { ok, unclear: false, reason: words })
        break
      }
      case 'CLOSED':
        this.#eose(id) // what came counts
        if (this.pool.find(id) && !id.includes('.')) setTimeout(() => this.#again(id), 5000)
        break
    }
  }

  #again(id: string): void {
    const sub = this.pool.find(id)
    if (sub) this.request(id, sub)
  }

  #event(id: string, v: unknown): void {
    const p = this.#pages.get(id)
    const e = p && readEvent(v)
    if (!p || !e) return
    if (p.stored) {
      p.sub.events([e], this.url, true)
      return
    }
    if (p.events.length < maxBacklog) p.events.push(e)
    p.fresh++
    p.oldest = Math.min(p.oldest, e.created_at)
    if (p.sub.paged && p.events.length >= 200) this.#flush(p)
  }

  #flush(p: Page): void {
    const list = p.events
    p.events = []
    if (list.length > 0) p.sub.events(list, this.url, false)
  }

  #eose(id: string): void {
    if (id === 'alive') this.#send(['CLOSE', id])
    const p = this.#pages.get(id)
    if (!p || p.stored) return
    this.#flush(p)
    p.stored = true
    const root = id.split('.')[0]!
    if (id !== root) {
      this.#pages.delete(id)
      this.#send(['CLOSE', id])
    }
    if (p.sub.paged && p.fresh > 0 && p.page < maxPages && this.#older(root, p)) return
    p.sub.stored?.(this.url)
  }

  /** Asks for the page before this one. Relays send only so many at once. */
  #older(root: string, p: Page): boolean {
    const until = p.oldest - (p.page > 0 && p.fresh < 2 ? 1 : 0)
    if (p.page > 0 && p.fresh < 2) return false
    const next = `${root}.${p.page + 1}`
    this.#pages.set(next, { sub: p.sub, events: [], fresh: 0, oldest: Infinity, stored: false, page: p.page + 1 })
    this.#send(['REQ', next, ...p.sub.filters().map((f) => ({ ...f, until: until - 1 }))])
    return true
  }
}
