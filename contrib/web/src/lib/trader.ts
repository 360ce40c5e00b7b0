// A trader at work: his keys, his trades, his letters. What is sent is written down first; what comes is written down
// before it is shown.

import type { ServerInfo } from './book'
import { chatFilters, conversationWith, readChat, writeChat, type ChatMessage, type Conversation } from './chat'
import { clockSlack, kinds, now, verify, type Draft, type Event } from './event'
import { Keyring, type Key } from './keys'
import { newRequestID, type Message, type Received } from './message'
import type { Filter, Outcome, Pool } from './relay'
import * as requests from './request'
import type { Asking, OrderSpec } from './request'
import { addLetters, isFinal, viewTrade, type SavedLetter, type TradeRecord, type TradeView } from './trade'
import { open, seal, type Letter, type Way } from './transport'
import { Vault } from './vault'

/** The secret part of what is kept, and the counter that must never go back. */
export interface Account {
  mnemonic: string
  /** next trade key */
  next: number
  /** full privacy: no identity is shown, no reputation earned */
  private: boolean
  /** NIP-47 connection */
  nwc?: string
  /** where the buyer's sats go, if he has one place for all */
  payout?: string
}

export type ChatWith = 'peer' | 'solver'

export interface ChatLine extends ChatMessage {
  with: ChatWith
  mine: boolean
}

export interface ChatRecord {
  index: number
  lines: ChatLine[]
  /** time of the newest line, for the next request */
  cursor: number
  /** lines that the trader has seen */
  read: number
}

export interface World {
  pool: Pool
  /** what a server says of itself, if it has been heard */
  info(server: string): ServerInfo | undefined
  /** the transport that the user insists on, if any */
  way?(server: string): Way | undefined
  /** how much later it is for servers than for this device, seconds */
  skew?(): number
  mine(d: Draft & { pubkey: string }, bits: number): Promise<Draft>
  changed(): void
  /** Something new came that the trader may want to hear of. */
  news?(t: TradeRecord, what: Received | ChatLine): void
}

const tradeID = (index: number): string => 'trade:' + String(index).padStart(10, '0')
const chatID = (index: number): string => 'chat:' + String(index).padStart(10, '0')

const mailAge = 60 * 86400
const mailKeys = 300
/** How far back a gift wrap may be dated (NIP-59). */
const tweak = 2 * 86400 + clockSlack
const maxLines = 2000
const infoPatience = 15_000
/** How long an answer of the server may take before the user hears of it. */
export const patience = 20_000

/** A device whose clock is off by more than this is told so, and helped, seconds. */
export const clockFault = 30

export class NoInfo extends Error {}

export class Trader {
  readonly trades = new Map<number, TradeRecord>()
  readonly chats = new Map<number, ChatRecord>()
  readonly ring: Keyring
  #byKey = new Map<string, number>()
  #seen = new Set<string>()
  #chatKey = ''
  #conversations = new Map<string, { index: number; with: ChatWith; c: Conversation }>()
  #rate = new Map<string, { tokens: number; at: number }>()
  readonly #channel = new BroadcastChannel('mostro')

  private constructor(
    readonly vault: Vault,
    public account: Account,
    readonly world: World,
  ) {
    this.ring = new Keyring(account.mnemonic)
    this.#channel.onmessage = (e: MessageEvent<{ trade?: number; chat?: number; account?: true }>) => void this.#elsewhere(e.data)
  }

  static async begin(vault: Vault, account: Account, world: World): Promise<Trader> {
    await vault.put('account', account)
    return Trader.resume(vault, world)
  }

  static async resume(vault: Vault, world: World): Promise<Trader> {
    const account = await vault.get<Account>('account')
    if (!account) throw new Error('the wallet is empty')
    const t = new Trader(vault, account, world)
    for (const r of await vault.list<TradeRecord>('trade:')) t.#adopt(r)
    for (const c of await vault.list<ChatRecord>('chat:')) t.chats.set(c.index, c)
    t.listen()
    return t
  }

  close(): void {
    for (const name of ['mail', 'chat', 'ask']) this.world.pool.unsubscribe(name)
    this.#channel.close()
    this.vault.close()
  }

  view(r: TradeRecord, rates?: Map<string, number>): TradeView {
    return viewTrade(r, this.#now(), rates)
  }

  // ---- state

  #adopt(r: TradeRecord): void {
    this.trades.set(r.index, r)
    this.#byKey.set(this.ring.key(r.index).pub, r.index)
    for (const l of r.letters) this.#seen.add(l.event)
  }

  /** Another tab has changed something. */
  async #elsewhere(what: { trade?: number; chat?: number; account?: true }): Promise<void> {
    if (what.trade !== undefined) {
      const known = this.trades.has(what.trade)
      const r = await this.vault.get<TradeRecord>(tradeID(what.trade))
      if (r) this.#adopt(r)
      if (r && !known) this.listen()
    }
    if (what.chat !== undefined) {
      const c = await this.vault.get<ChatRecord>(chatID(what.chat))
      if (c) this.chats.set(c.index, c)
    }
    if (what.account) this.account = (await this.vault.get<Account>('account')) ?? this.account
    this.#listenToChats()
    this.world.changed()
  }

  async updateAccount(change: (a: Account) => void): Promise<void> {
    this.account = await this.vault.update<Account>('account', (a) => {
      const copy = { ...(a ?? this.account) }
      change(copy)
      return copy
    })
    this.#channel.postMessage({ account: true })
    this.world.changed()
  }

  async #update(index: number, change: (r: TradeRecord) => void): Promise<TradeRecord> {
    const r = await this.vault.update<TradeRecord>(tradeID(index), (old) => {
      const copy = structuredClone(old ?? this.trades.get(index)!)
      change(copy)
      return copy
    })
    this.#adopt(r)
    this.#channel.postMessage({ trade: index })
    this.#listenToChats()
    this.world.changed()
    return r
  }

  /** Burns the next trade key and writes the trade down, before anything of it leaves the device. */
  async #begin(r: Omit<TradeRecord, 'index' | 'createdAt' | 'letters' | 'sent' | 'private'>): Promise<TradeRecord> {
    let index = 0
    await this.updateAccount((a) => {
      index = a.next++
    })
    const full: TradeRecord = { ...r, index, createdAt: this.#now(), letters: [], sent: [], private: this.account.private }
    await this.vault.put(tradeID(index), full)
    this.#adopt(full)
    this.listen()
    this.#channel.postMessage({ trade: index })
    return full
  }

  /** Takes a trade that came to nothing off the list. Its key stays burnt. */
  async forget(index: number): Promise<void> {
    await this.vault.remove(tradeID(index))
    await this.vault.remove(chatID(index))
    this.trades.delete(index)
    this.chats.delete(index)
    this.world.changed()
  }

  // ---- what comes

  /** Listens to all keys that may still get letters, on both transports. */
  listen(): void {
    this.world.pool.subscribe('mail', {
      filters: () => {
        const keys: string[] = []
        const servers = new Set<string>()
        let since = this.#now()
        for (const r of [...this.trades.values()].reverse()) {
          const last = Math.max(r.createdAt, r.restored?.at ?? 0, ...r.letters.map((l) => l.at))
          if (keys.length >= mailKeys || last < now() - mailAge) continue
          keys.push(this.ring.key(r.index).pub)
          servers.add(r.server)
          since = Math.min(since, r.createdAt)
        }
        return keys.length ? mailFilters(keys, [...servers], since) : []
      },
      events: (list) => void this.#receive(list),
    })
    this.#listenToChats()
  }

  async #receive(list: Event[]): Promise<void> {
    const byTrade = new Map<number, Letter[]>()
    for (const e of list) {
      if (this.#seen.has(e.id)) continue
      const index = e.tags.map((t) => (t[0] === 'p' ? this.#byKey.get(t[1] ?? '') : undefined)).find((i) => i !== undefined)
      const r = index === undefined ? undefined : this.trades.get(index)
      if (!r) continue
      if (this.#seen.size > 50_000) this.#seen.clear()
      this.#seen.add(e.id)
      if (!verify(e)) continue
      const l = open(e, this.ring.key(r.index), r.server)
      if (l) byTrade.set(r.index, [...(byTrade.get(r.index) ?? []), l])
    }
    for (const [index, letters] of byTrade) await this.#file(index, letters)
  }

  async #file(index: number, letters: Letter[]): Promise<void> {
    const saved: SavedLetter[] = letters.map(({ event, at, raw }) => ({ event, at, raw }))
    let fresh = false
    const r = await this.#update(index, (t) => {
      fresh = addLetters(t, saved)
    })
    if (fresh) for (const l of letters) this.world.news?.(r, l.message)
  }

  // ---- what we send

  async #info(server: string): Promise<ServerInfo> {
    for (let waited = 0; ; waited += 100) {
      const info = this.world.info(server)
      if (info) return info
      if (waited >= infoPatience) throw new NoInfo('the server has not said which way it speaks')
      await new Promise((r) => setTimeout(r, 100))
    }
  }

  /** The time, corrected where this device's clock is wrong: servers take only fresh events, by their own clock. */
  #now(): number {
    const skew = this.world.skew?.() ?? 0
    return Math.abs(skew) > clockFault ? now() + skew : now()
  }

  async #post(server: string, key: Key, identity: Key | undefined, message: Message): Promise<Outcome> {
    const info = await this.#info(server)
    const way = this.world.way?.(server) ?? info.way
    const e = await seal({
      way, message: { ...message, version: way }, trade: key, identity, node: server, at: this.#now(),
      work: info.work > 0 ? (d) => this.world.mine(d, info.work) : undefined,
    })
    return this.world.pool.publish(e)
  }

  async #send(index: number, build: (a: Asking) => Message): Promise<Outcome> {
    const r = this.trades.get(index)!
    const request = newRequestID()
    const message = build({ request, tradeIndex: r.private ? null : index, order: r.order })
    await this.#update(index, (t) => t.sent.push({ at: this.#now(), action: message.action, request }))
    let o: Outcome
    try {
      o = await this.#post(r.server, this.ring.key(index), r.private ? undefined : this.ring.identity, message)
    } catch (e) {
      o = { ok: false, unclear: false, reason: e instanceof NoInfo ? 'no-info' : String(e) }
    }
    if (!o.ok) {
      const fault = o.reason || 'refused'
      await this.#update(index, (t) => {
        const s = t.sent.find((x) => x.request === request)
        if (s) s.fault = fault
      })
    }
    return o
  }

  #terms(server: string): Pick<TradeRecord, 'info'> {
    const i = this.world.info(server)
    if (!i) return {}
    const { fee, feePayer, waitSeconds, holdBlocks, networks, invoiceWindow, expirationHours } = i
    return { info: { fee, feePayer, waitSeconds, holdBlocks, networks, invoiceWindow, expirationHours } }
  }

  /** Publishes an order. Returns its trade when a relay has it, or none took it; the server's answer comes by itself. */
  async newOrder(server: string, s: OrderSpec): Promise<TradeRecord> {
    const { amount, currency, fiat, min, max, methods, premium } = s
    const r = await this.#begin({
      server, side: s.kind === 'sell' ? 'seller' : 'buyer', kind: s.kind, maker: true, range: max > 0,
      terms: { amount, currency, fiat, min, max, methods, premium }, ...this.#terms(server),
    })
    await this.#send(r.index, (a) => requests.newOrder(a, s))
    return this.trades.get(r.index)!
  }

  /** Takes an offer. `fiat` is the choice on a range, `invoice` where a buyer wants the sats. */
  async take(
    o: { id: string; server: string; kind: 'buy' | 'sell' } & TradeRecord['terms'], fiat?: number, invoice?: string,
  ): Promise<TradeRecord> {
    const { amount, currency, methods, premium } = o
    const r = await this.#begin({
      server: o.server, order: o.id, side: o.kind === 'sell' ? 'buyer' : 'seller', kind: o.kind, maker: false, range: false,
      terms: { amount, currency, fiat: fiat ?? o.fiat, min: 0, max: 0, methods, premium }, ...this.#terms(o.server),
    })
    await this.#send(r.index, (a) => requests.take(a, o.kind, fiat, invoice))
    return this.trades.get(r.index)!
  }

  addInvoice = (index: number, invoice: string): Promise<Outcome> => this.#send(index, (a) => requests.addInvoice(a, invoice))
  addBondInvoice = (index: number, invoice: string): Promise<Outcome> => this.#send(index, (a) => requests.addBondInvoice(a, invoice))
  cancel = (index: number): Promise<Outcome> => this.#send(index, requests.cancel)
  dispute = (index: number): Promise<Outcome> => this.#send(index, requests.dispute)
  fiatSent = (index: number): Promise<Outcome> => this.#withRest(index, 'buyer', requests.fiatSent)
  release = (index: number): Promise<Outcome> => this.#withRest(index, 'seller', requests.release)

  async rate(index: number, stars: number): Promise<Outcome> {
    const o = await this.#send(index, (a) => requests.rate(a, stars))
    if (o.ok) await this.#update(index, (t) => (t.rated = stars)) // a server may pass over it in silence
    return o
  }

  /** Says again what was not answered: a new event, since servers take only fresh ones. */
  async retry(index: number, spec?: OrderSpec): Promise<Outcome | undefined> {
    const r = this.trades.get(index)!
    switch (r.sent.at(-1)?.action) {
      case 'new-order': return spec && this.#send(index, (a) => requests.newOrder(a, spec))
      case 'take-buy': case 'take-sell': return this.#send(index, (a) => requests.take(a, r.kind, r.terms.fiat || undefined))
      case 'fiat-sent': return this.fiatSent(index)
      case 'release': return this.release(index)
      case 'cancel': return this.cancel(index)
      case 'dispute': return this.dispute(index)
      default: return undefined
    }
  }

  /** Notes that the hold invoice is being paid, so that no second tab or click pays it again. Reports whether it may. */
  async startPaying(index: number, hash: string): Promise<boolean> {
    let free = false
    await this.#update(index, (t) => {
      free = t.paying !== hash
      t.paying = hash
    })
    return free
  }

  async stopPaying(index: number): Promise<void> {
    await this.#update(index, (t) => delete t.paying)
  }

  /** On an own range order, announces the key for the rest; the same one if it is said again. */
  async #withRest(index: number, side: 'buyer' | 'seller', build: (a: Asking, next?: [string, number]) => Message): Promise<Outcome> {
    const r = this.trades.get(index)!
    if (!r.maker || !r.range || r.side !== side) return this.#send(index, (a) => build(a))
    let rest = r.rest
    if (rest === undefined) {
      const child = await this.#begin({ server: r.server, side, kind: r.kind, maker: true, range: true, terms: r.terms, parent: index, ...this.#terms(r.server) })
      rest = child.index
      await this.#update(index, (t) => {
        rest = t.rest ??= child.index // another tab may have been quicker
      })
    }
    const next: [string, number] = [this.ring.key(rest).pub, rest]
    return this.#send(index, (a) => build(a, next))
  }

  // ---- asking with the identity

  /**
   * Asks a server something, with the identity key if no other is given, and waits for the answer. Undefined if none came in time.
   */
  async #ask(server: string, build: (a: Asking) => Message, wanted: string[], key = this.ring.identity): Promise<Received | undefined> {
    const request = newRequestID()
    const from = this.#now()
    return new Promise((resolve) => {
      const done = (m?: Received): void => {
        clearTimeout(timer)
        this.world.pool.unsubscribe('ask')
        resolve(m)
      }
      const timer = setTimeout(() => done(), patience)
      this.world.pool.subscribe('ask', {
        filters: () => mailFilters([key.pub], [server], from),
        events: (list) => {
          for (const e of list) {
            if (!verify(e)) continue
            const l = open(e, key, server)
            if (!l || l.at < from - clockSlack) continue
            const { action, request_id } = l.message
            const ours = request_id === null ? wanted.includes(action) && l.at >= from - 5 : Number(request_id) === request
            if (ours && (wanted.includes(action) || action === 'cant-do')) return done(l.message)
          }
        },
      })
      void this.#post(server, key, undefined, build({ request, tradeIndex: null })).then((o) => !o.ok && !o.unclear && done(), () => done())
    })
  }

  /**
   * Gets back from a server what it knows of our trades: for a mnemonic that comes from another device. Returns how
   * many were found, or undefined if the server did not answer.
   */
  async restore(server: string): Promise<number | undefined> {
    const last = await this.#ask(server, requests.lastTradeIndex, ['last-trade-index'])
    if (!last) return undefined
    if (last.trade_index !== null) await this.#skipTo(Number(last.trade_index) + 1)
    const m = await this.#ask(server, requests.restoreSession, ['restore-session'])
    if (!m) return undefined
    if (!m.payload || !('restore_data' in m.payload)) return 0
    const { orders, disputes } = m.payload.restore_data
    const found = new Map<string, { index: number; status: string; dispute?: string; solver?: string }>()
    for (const o of orders) found.set(o.order_id, { index: Number(o.trade_index), status: o.status })
    for (const d of disputes) {
      found.set(d.order_id, { index: Number(d.trade_index), status: 'dispute', dispute: d.dispute_id, ...(d.solver_pubkey ? { solver: d.solver_pubkey } : {}) })
    }
    const ids = [...found.keys()].filter((id) => found.get(id)!.index > 0)
    let count = 0
    const chunk = Math.max(1, this.world.info(server)?.maxOrdersPerResponse ?? 10)
    for (let i = 0; i < ids.length; i += chunk) {
      const part = ids.slice(i, i + chunk)
      const answer = await this.#ask(server, (a) => requests.orders(a, part), ['orders'])
      const details = answer?.payload && 'orders' in answer.payload ? answer.payload.orders : []
      for (const o of details) if (o.id && found.has(o.id) && (await this.#restored(server, o, found.get(o.id)!))) count++
    }
    this.listen()
    return count
  }

  /** Asks the server where a trade stands: something may have got lost on the way. False if it does not say. */
  async refresh(index: number): Promise<boolean> {
    const r = this.trades.get(index)!
    if (!r.order) return false
    const key = r.private ? this.ring.key(index) : this.ring.identity
    const m = await this.#ask(r.server, (a) => requests.orders(a, [r.order!]), ['orders'], key)
    const o = m?.payload && 'orders' in m.payload ? m.payload.orders.find((x) => x.id === r.order) : undefined
    if (!o?.status) return false
    const peer = r.side === 'seller' ? o.buyer_trade_pubkey : o.seller_trade_pubkey
    await this.#update(index, (t) => {
      t.restored = { ...t.restored, status: o.status!, at: this.#now(), ...(peer ? { peer } : {}) }
    })
    this.listen()
    return true
  }

  async #skipTo(next: number): Promise<void> {
    if (Number.isSafeInteger(next)) await this.updateAccount((a) => (a.next = Math.max(a.next, next)))
  }

  async #restored(
    server: string, o: import('./message').SmallOrder, f: { index: number; status: string; dispute?: string; solver?: string },
  ): Promise<boolean> {
    if (f.index > 0x7fffffff || !o.id || !o.kind) return false
    const me = this.ring.key(f.index).pub
    const side = o.seller_trade_pubkey === me ? 'seller' : o.buyer_trade_pubkey === me ? 'buyer' : o.kind === 'sell' ? 'seller' : 'buyer'
    const peer = side === 'seller' ? o.buyer_trade_pubkey : o.seller_trade_pubkey
    const { index, ...known } = f
    const restored = { ...known, status: o.status ?? f.status, at: this.#now(), ...(peer ? { peer } : {}) }
    await this.#skipTo(index + 1)
    if (this.trades.has(index)) {
      await this.#update(index, (t) => (t.restored = restored))
      return true
    }
    const r: TradeRecord = {
      index, server, order: o.id, side, kind: o.kind, maker: (o.kind === 'sell') === (side === 'seller'), private: false,
      range: o.max_amount !== null, createdAt: Math.min(now(), Number(o.created_at ?? 0) || now() - 30 * 86400), letters: [], sent: [], restored,
      terms: {
        amount: Number(o.amount), currency: o.fiat_code, fiat: Number(o.fiat_amount), min: Number(o.min_amount ?? 0),
        max: Number(o.max_amount ?? 0), methods: o.payment_method, premium: Number(o.premium),
      },
      ...this.#terms(server),
    }
    await this.vault.put(tradeID(index), r)
    this.#adopt(r)
    this.world.changed()
    return true
  }

  // ---- chat

  #listenToChats(): void {
    const wanted = new Map<string, { index: number; with: ChatWith; c: Conversation }>()
    let oldest = this.#now()
    for (const r of this.trades.values()) {
      const v = this.view(r)
      if (isFinal(v.status) && v.lastAt < now() - 14 * 86400) continue
      for (const [who, peer] of [['peer', v.peer], ['solver', v.solver]] as const) {
        if (!peer) continue
        const id = `${r.index}:${peer}`
        try {
          wanted.set(id, this.#conversations.get(id) ?? { index: r.index, with: who, c: conversationWith(this.ring.key(r.index), peer) })
        } catch {
          continue // a key that is no point
        }
        oldest = Math.min(oldest, this.chats.get(r.index)?.cursor ?? r.createdAt)
      }
    }
    this.#conversations = wanted
    const key = [...wanted.keys()].sort().join()
    if (key === this.#chatKey) return
    this.#chatKey = key
    const list = [...wanted.values()]
    this.world.pool.subscribe('chat', {
      filters: () => chatFilters(list.map((x) => x.c), Math.max(oldest, now() - 14 * 86400)),
      events: (events) => void this.#receiveChat(events),
    })
  }

  /** Thirty a minute and sixty at once, of each conversation. */
  #allowed(id: string): boolean {
    const t = Date.now()
    const b = this.#rate.get(id) ?? { tokens: 60, at: t }
    b.tokens = Math.min(60, b.tokens + ((t - b.at) / 60_000) * 30)
    b.at = t
    this.#rate.set(id, b)
    if (b.tokens < 1) return false
    b.tokens--
    return true
  }

  async #receiveChat(events: Event[]): Promise<void> {
    for (const e of events) {
      if (this.#seen.has(e.id)) continue
      for (const [id, { index, with: who, c }] of this.#conversations) {
        if (e.kind === kinds.direct && e.pubkey !== c.sign.pub) continue
        if (events.length < 60 && !this.#allowed(id)) break
        const m = readChat(c, e, Math.max(now(), this.#now()))
        if (!m) continue
        this.#seen.add(e.id)
        await this.#addLine(index, { ...m, with: who, mine: m.from === c.me.pub })
      }
    }
  }

  async #addLine(index: number, line: ChatLine): Promise<void> {
    let fresh = false
    const c = await this.vault.update<ChatRecord>(chatID(index), (old) => {
      const c = old ?? { index, lines: [], cursor: 0, read: 0 }
      fresh = !c.lines.some((l) => l.id === line.id)
      if (!fresh) return c
      const lines = [...c.lines, line].sort((a, b) => a.at - b.at).slice(-maxLines) // of one second: as they came
      return { ...c, lines, cursor: Math.max(c.cursor, Math.min(line.at, now())) }
    })
    this.chats.set(index, c)
    if (!fresh) return
    this.#channel.postMessage({ chat: index })
    this.world.changed()
    const r = this.trades.get(index)
    if (r && !line.mine) this.world.news?.(r, line)
  }

  conversation(index: number, who: ChatWith): Conversation | undefined {
    for (const x of this.#conversations.values()) if (x.index === index && x.with === who) return x.c
    return undefined
  }

  /** Writes to the other party or to the solver. The line is kept when a relay has taken it. */
  async say(index: number, who: ChatWith, text: string): Promise<Outcome> {
    const c = this.conversation(index, who)
    if (!c) return { ok: false, unclear: false, reason: 'nobody to write to yet' }
    const { event, message } = writeChat(c, text, this.#now())
    this.#seen.add(event.id)
    const o = await this.world.pool.publish(event)
    if (o.ok || o.unclear) await this.#addLine(index, { ...message, with: who, mine: true })
    return o
  }

  async markRead(index: number): Promise<void> {
    const c = this.chats.get(index)
    if (!c || c.read >= c.lines.length) return
    this.chats.set(
      index,
      await this.vault.update<ChatRecord>(chatID(index), (old) => {
        const c = old ?? { index, lines: [], cursor: 0, read: 0 }
        return { ...c, read: c.lines.length }
      }),
    )
    this.world.changed()
  }

  unread(index: number): number {
    const c = this.chats.get(index)
    return c ? c.lines.slice(c.read).filter((l) => !l.mine).length : 0
  }
}

function mailFilters(keys: string[], servers: string[], since: number): Filter[] {
  return [
    { kinds: [kinds.direct], authors: servers, '#p': keys, since: since - clockSlack },
    { kinds: [kinds.wrap], '#p': keys, since: since - tweak },
  ]
}
