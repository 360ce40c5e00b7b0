// The order books of all servers on all relays, as one; and what is known of each server.

import { clockSlack, kinds, now, replaces, tag, verify, type Event } from './event'
import { readDispute, readInfo, readOffer, readRates, takeable, type DisputeNews, type Offer, type Rates, type ServerInfo } from './book'
import type { Pool } from './relay'
import type { Verify } from './workers'

export interface Listed extends Offer {
  /** The signature has been checked. One that has not is shown, but cannot be taken yet. */
  sure: boolean
  raw: Event
}

export interface Server {
  info: ServerInfo
  rates: Rates
  ratesAt: number
  /** relays on which its info event was seen */
  relays: Set<string>
  /** how often it was looked at, and found alive */
  samples: number
  fresh: number
}

function median(list: number[], keep: number[]): number {
  keep.splice(0, keep.length, ...list)
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!
}

/** No page shows more. */
const maxOffers = 50_000
const batch = 64
/** A server speaks every five minutes; after three times that it counts as away. */
export const aliveWithin = 900

export class Market {
  readonly offers = new Map<string, Listed>()
  readonly servers = new Map<string, Server>()
  readonly disputes = new Map<string, DisputeNews>()
  /** relays that have sent all they had */
  readonly loaded = new Set<string>()
  /** How much later it is for servers than for this device, seconds; known once one has spoken while we listen. */
  skew = 0
  #seen = new Set<string>()
  #skews: number[] = []
  #queue: Event[] = []
  /** offers that are shown and not checked yet, by event */
  #proposed = new Map<string, string>()
  #checking = false
  #lastEvent = now()

  constructor(
    readonly pool: Pool,
    readonly check: Verify,
    readonly changed: () => void,
  ) {}

  /** Begins to follow all Mostros on the pool's relays. */
  follow(): void {
    const mostro = { '#y': ['mostro'] }
    this.pool.subscribe('servers', {
      filters: () => [{ kinds: [kinds.info], ...mostro }, { kinds: [kinds.info], '#z': ['info'] }],
      events: (list, relay, live) => this.#servers(list, relay, live),
    })
    this.pool.subscribe('book', {
      filters: () => [{ kinds: [kinds.order], ...mostro, '#s': ['pending'], limit: 500 }],
      events: (list) => this.#receive(list), paged: true,
      stored: (relay) => {
        this.loaded.add(relay)
        this.changed()
      },
    })
    const since = (): number => this.#lastEvent - clockSlack
    this.pool.subscribe('moves', {
      filters: () => [{ kinds: [kinds.order], ...mostro, since: since() }, { kinds: [kinds.dispute], ...mostro, since: since() }],
      events: (list) => {
        this.#lastEvent = now()
        this.#receive(list)
      },
    })
  }

  /** Asks for the prices of the servers that are known. */
  #followRates(): void {
    const authors = [...this.servers.keys()].slice(0, 200)
    this.pool.subscribe('rates', {
      filters: () => (authors.length ? [{ kinds: [kinds.rates], authors, '#d': ['mostro-rates'] }] : []),
      events: (list) => list.forEach((e) => this.#rates(e)),
    })
  }

  #servers(list: Event[], relay: string, live: boolean): void {
    let grown = false
    for (const e of list) {
      const old = this.servers.get(e.pubkey)
      if (old?.info.at === e.created_at) old.relays.add(relay)
      if (old && old.info.at >= e.created_at) continue
      const info = readInfo(e)
      if (!info || e.created_at > now() + 86400 || !verify(e)) continue
      if (live) this.skew = median([...this.#skews.slice(-4), e.created_at - now()], this.#skews)
      grown ||= !old
      this.servers.set(e.pubkey, {
        info, rates: old?.rates ?? new Map(), ratesAt: old?.ratesAt ?? 0, relays: (old?.relays ?? new Set()).add(relay),
        samples: old?.samples ?? 0, fresh: old?.fresh ?? 0,
      })
    }
    if (grown) this.#followRates()
    this.changed()
  }

  #rates(e: Event): void {
    const s = this.servers.get(e.pubkey)
    if (!s || s.ratesAt >= e.created_at) return
    const rates = readRates(e)
    if (!rates || !verify(e)) return
    Object.assign(s, { rates, ratesAt: e.created_at })
    this.changed()
  }

  #receive(list: Event[]): void {
    const at = now() + this.skew
    for (const e of list) {
      if (this.#seen.has(e.id)) continue
      if (this.#seen.size > 4 * maxOffers) this.#seen.clear()
      this.#seen.add(e.id)
      if (Number(tag(e, 'expiration') ?? Infinity) < at) continue
      if (e.kind === kinds.order && !this.#propose(e)) continue
      this.#queue.push(e)
    }
    this.changed()
    if (!this.#checking) void this.#work()
  }

  /** Shows an offer that nothing is known of yet. Reports whether the event is worth checking. */
  #propose(e: Event): boolean {
    const o = readOffer(e)
    if (!o) return false
    const key = `${o.server}:${o.id}`
    const old = this.offers.get(key)
    if (old && !replaces(e, old.raw)) return false
    if (!old && this.offers.size < maxOffers) {
      this.offers.set(key, { ...o, sure: false, raw: e })
      this.#proposed.set(e.id, key)
    }
    return true
  }

  async #work(): Promise<void> {
    this.#checking = true
    while (this.#queue.length > 0) {
      const lots: Event[][] = []
      while (lots.length < 2 && this.#queue.length > 0) lots.push(this.#queue.splice(0, batch))
      await Promise.all(
        lots.map(async (list) => {
          const ok = await this.check(list)
          list.forEach((e, i) => this.#checked(e, ok[i] === true))
        }),
      )
      this.changed()
    }
    this.#checking = false
  }

  #checked(e: Event, ok: boolean): void {
    if (e.kind === kinds.dispute) {
      const d = ok ? readDispute(e) : undefined
      const old = d && this.disputes.get(d.id)
      if (d && (!old || old.at < d.at)) this.disputes.set(d.id, d)
      return
    }
    const shown = this.#proposed.get(e.id)
    this.#proposed.delete(e.id)
    if (ok && shown && this.offers.get(shown)?.event === e.id) {
      this.offers.set(shown, { ...this.offers.get(shown)!, sure: true })
      return
    }
    const o = readOffer(e)
    if (!o) return
    const key = `${o.server}:${o.id}`
    const old = this.offers.get(key)
    if (!ok) {
      if (old?.event === e.id) this.offers.delete(key)
    } else if (!old || old.event === e.id || !old.sure || replaces(e, old.raw)) this.offers.set(key, { ...o, sure: true, raw: e })
  }

  /** Looks at one offer's signature at once: somebody wants it. */
  ensure(o: Listed): boolean {
    if (!o.sure && !verify(o.raw)) {
      this.offers.delete(`${o.server}:${o.id}`)
      return false
    }
    o.sure = true
    return true
  }

  /** What can be taken now. */
  open(at: number): Listed[] {
    const out: Listed[] = []
    for (const o of this.offers.values()) if (takeable(o, at)) out.push(o)
    return out
  }

  /** Forgets what has ended, and counts which servers are alive. Once a minute. */
  tick(at: number): void {
    for (const [key, o] of this.offers) if (!takeable(o, at) && o.created_at < at - 3600) this.offers.delete(key)
    if (this.pool.up === 0) return // it is we who are away
    for (const s of this.servers.values()) {
      s.samples++
      if (s.info.at > at - aliveWithin) s.fresh++
    }
    this.changed()
  }
}
