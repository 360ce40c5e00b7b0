// One trade as its trader sees it. All that is kept of a trade is what was agreed, what we sent and what the server
// wrote; everything else is worked out from these, so that late, doubled and shuffled messages do no harm.

import type { Kind, ServerInfo } from './book'
import { decodeTolerant, invoiceOf, isNotice, orderOf, type Received, type UserInfo } from './message'
import { judgeLock, quote, type LockFault } from './money'

export type Side = 'buyer' | 'seller'

/** What a trader agreed to when he made or took the order. */
export interface Terms {
  /** sats; 0: at the market price */
  amount: number
  currency: string
  /** 0 on a range that nobody has taken yet */
  fiat: number
  min: number
  max: number
  methods: string
  premium: number
}

export interface SavedLetter {
  event: string
  at: number
  raw: string
}

export interface Sent {
  at: number
  action: string
  request: number
  /** the relays' answer: taken, or why not */
  fault?: string
}

export interface TradeRecord {
  index: number
  server: string
  order?: string
  side: Side
  /** what the maker does */
  kind: Kind
  maker: boolean
  /** full privacy: no identity was shown */
  private: boolean
  terms: Terms
  /** own order whose rest becomes a new one */
  range: boolean
  /** index of the key that was announced for the rest */
  rest?: number
  /** index of the trade whose rest this is */
  parent?: number
  createdAt: number
  letters: SavedLetter[]
  sent: Sent[]
  /** stars that we gave */
  rated?: number
  /** the server's terms when it began, for the time when it does not answer */
  info?: Pick<ServerInfo, 'fee' | 'feePayer' | 'waitSeconds' | 'holdBlocks' | 'networks' | 'invoiceWindow' | 'expirationHours'>
  /** hash of the hold invoice that we paid or began to pay */
  paying?: string
  /** restored from the server by its index; older messages may be gone */
  restored?: { status: string; at: number; dispute?: string; solver?: string; peer?: string }
}

export type TradeStatus =
  | 'sending' | 'refused' | 'bond' | 'pending' | 'waiting-buyer-invoice' | 'waiting-payment' | 'active' | 'fiat-sent' | 'dispute'
  | 'settled' | 'success' | 'canceled' | 'cooperatively-canceled' | 'canceled-by-admin' | 'expired' | 'lost' | 'unknown'

/** What the trader has to do. */
export type Need =
  | 'pay-invoice' | 'pay-bond' | 'give-invoice' | 'replace-invoice' | 'give-bond-invoice' | 'send-fiat' | 'release' | 'answer-cancel' | 'rate'

/** Whose move it is. */
export type Turn = 'me' | 'peer' | 'server' | 'solver' | 'anyone' | 'nobody'

export type Can = 'cancel' | 'cooperative-cancel' | 'dispute' | 'release' | 'fiat-sent' | 'retry' | 'chat' | 'rate'

export interface Entry {
  at: number
  who: 'me' | 'server'
  /** action, known or not */
  action: string
  letter?: Received
  /** our request that this refused */
  refused?: string
}

export interface TradeView {
  record: TradeRecord
  status: TradeStatus
  needs: Need[]
  turn: Turn
  can: Set<Can>
  /** when the present state ends by itself, seconds; and what happens then */
  deadline?: number
  then?: 'reopen' | 'cancel' | 'expire' | 'escrow'
  terms: Terms
  /** what the seller locks, what the buyer gets, as the server said it, sats */
  locks?: number
  gets?: number
  /** hold or bond invoice to be paid, and what is wrong with it */
  invoice?: string
  fault?: LockFault
  bondInvoice?: string
  bondAmount?: number
  bondShare?: number
  peer?: string
  peerRating?: UserInfo
  solver?: string
  disputeID?: string
  disputeBy?: 'me' | 'peer'
  cancelAskedBy?: 'me' | 'peer'
  payoutFailed?: { attempts: number; interval: number }
  mayRate: boolean
  /** stars that we gave, if we did */
  rated?: number
  /** last refusal that still matters */
  refusal?: { action: string; reason: string; at: number }
  /** our last request, if nothing has answered it */
  unanswered?: Sent
  timeline: Entry[]
  /** time of the last sign of life */
  lastAt: number
  live: boolean
}

/** Progress of a trade, for messages that were written in the same second. */
const order = [
  'new-order', 'pay-bond-invoice', 'add-invoice', 'waiting-buyer-invoice', 'pay-invoice', 'waiting-seller-to-pay', 'buyer-took-order',
  'hold-invoice-payment-accepted', 'fiat-sent-ok', 'dispute-initiated-by-you', 'dispute-initiated-by-peer', 'admin-took-dispute',
  'cooperative-cancel-initiated-by-you', 'cooperative-cancel-initiated-by-peer', 'released', 'hold-invoice-payment-settled',
  'admin-settled', 'payment-failed', 'invoice-updated', 'purchase-completed', 'rate', 'rate-received', 'hold-invoice-payment-canceled',
  'cooperative-cancel-accepted', 'admin-canceled', 'canceled', 'orders',
]
const rank = (a: string): number => (order.includes(a) ? order.indexOf(a) : order.length)

/** On a buy order the invoice is asked for after the payment: these two come later than on a sell order. */
const laterOnBuy = ['add-invoice', 'waiting-buyer-invoice']

const finals: TradeStatus[] = ['refused', 'success', 'canceled', 'cooperatively-canceled', 'canceled-by-admin', 'expired', 'lost']
export const isFinal = (s: TradeStatus): boolean => finals.includes(s)

/** Ten minutes a block, on average. */
const blockSeconds = 600

interface Read extends SavedLetter {
  m: Received
}

const decoded = new Map<string, Received | null>()

/** Letters decode once; the texts live as long as the page. */
function readLetter(l: SavedLetter): Read | undefined {
  let m = decoded.get(l.event)
  if (m === undefined) {
    try {
      m = decodeTolerant(l.raw)
    } catch {
      m = null
    }
    decoded.set(l.event, m)
  }
  return m ? { ...l, m } : undefined
}

/** Letters by their time; those of one second in the order in which they were filed. */
function inOrder(letters: SavedLetter[]): Read[] {
  return letters.map(readLetter).filter((l) => l !== undefined).sort((a, b) => a.at - b.at)
}

/**
 * Sorts letters that came in one piece, as relays give what they have stored: in no order that means anything within a
 * second. Letters that come one by one are in their order already, and may hold more than one round in a second: a taker
 * leaves, the order is back in the book, another takes it.
 */
function sortBatch(r: TradeRecord, letters: SavedLetter[]): SavedLetter[] {
  const opened = (l: SavedLetter): boolean => readLetter(l)?.m.action === 'new-order'
  const firstOpen = Math.min(...[...r.letters, ...letters].filter(opened).map((l) => l.at))
  const key = (l: SavedLetter): number => {
    const action = readLetter(l)?.m.action ?? ''
    if (action === 'new-order' && l.at > firstOpen) return order.length - 0.5
    return r.kind === 'buy' && laterOnBuy.includes(action) ? rank('waiting-seller-to-pay') + 0.5 : rank(action)
  }
  return [...letters].sort((a, b) => a.at - b.at || key(a) - key(b) || (a.event < b.event ? -1 : 1))
}

/** Adds letters that are new; reports whether any was. */
export function addLetters(r: TradeRecord, letters: SavedLetter[]): boolean {
  let grown = false
  for (const l of sortBatch(r, letters)) {
    if (r.letters.some((x) => x.event === l.event)) continue
    r.letters.push(l)
    grown = true
    const m = readLetter(l)?.m
    if (m?.id && !r.order) r.order = m.id
  }
  if (r.letters.length > maxLetters) r.letters.splice(0, r.letters.length - maxLetters)
  return grown
}

/** A plain trade has about ten. */
const maxLetters = 300

/** Works out where a trade stands. `at` is this device's time. */
export function viewTrade(record: TradeRecord, at: number, rates?: Map<string, number>): TradeView {
  const v: TradeView = {
    record, status: 'sending', needs: [], turn: 'server', can: new Set(), terms: { ...record.terms }, timeline: [],
    mayRate: false, lastAt: record.createdAt, live: true, ...(record.rated ? { rated: record.rated } : {}),
  }
  const since = { at: record.createdAt } // when the present status began
  const letters = inOrder(record.letters)
  let restored = record.restored
  for (const l of letters) {
    if (restored && l.at > restored.at) {
      restore(v, restored, since)
      restored = undefined
    }
    apply(v, l, since)
    v.lastAt = Math.max(v.lastAt, l.at)
  }
  if (restored) restore(v, restored, since)
  v.timeline = timeline(record, letters)
  unanswered(v, letters)
  if (record.parent !== undefined && letters.length === 0) v.status = 'unknown' // a rest that may never come
  duties(v)
  deadlines(v, since.at)
  if (v.invoice && v.status === 'waiting-payment') judge(v, at, rates)
  v.live = !isFinal(v.status) || v.needs.some((n) => n !== 'rate')
  return v
}

/** The server's own word on the status, between older and newer messages. */
function restore(v: TradeView, r: NonNullable<TradeRecord['restored']>, since: { at: number }): void {
  const s = statusFrom(r.status)
  const known = v.status !== 'sending'
  // A word that we don't know does not take away what we do; to a seller a trade is done when he has released.
  if (!(known && s === 'unknown') && !(v.status === 'success' && s === 'settled')) setStatus(v, s, r.at, since)
  if (r.dispute) v.disputeID = r.dispute
  if (r.solver) v.solver = r.solver
  if (r.peer) v.peer = r.peer
}

/** Translates a server's internal word. */
function statusFrom(s: string): TradeStatus {
  switch (s) {
    case 'settled-hold-invoice': case 'settled-by-admin': return 'settled'
    case 'completed-by-admin': return 'success'
    case 'waiting-taker-bond': case 'waiting-maker-bond': return 'bond'
    case 'pending': case 'waiting-buyer-invoice': case 'waiting-payment': case 'active': case 'fiat-sent': case 'dispute':
    case 'success': case 'canceled': case 'canceled-by-admin': case 'cooperatively-canceled': case 'expired': return s
    default: return 'unknown'
  }
}

function setStatus(v: TradeView, s: TradeStatus, at: number, since: { at: number }): void {
  if (v.status !== s) since.at = at
  v.status = s
}

/** Takes what a message tells beside its action. */
function enrich(v: TradeView, m: Received): void {
  const o = orderOf(m)
  if (o && (!m.payload || !('bond_payout_request' in m.payload)) && !m.action.includes('bond')) {
    if (o.fiat_amount) v.terms.fiat = Number(o.fiat_amount)
    const mine = v.record.side === 'seller' ? o.buyer_trade_pubkey : o.seller_trade_pubkey
    if (mine) v.peer = mine
    if (o.amount && (m.action === 'pay-invoice' || m.action === 'buyer-took-order')) v.locks = Number(o.amount)
    if (o.amount && (m.action === 'add-invoice' || m.action === 'hold-invoice-payment-accepted')) v.gets = Number(o.amount)
  }
  if (m.payload && 'peer' in m.payload) {
    if (m.payload.peer.reputation) v.peerRating = m.payload.peer.reputation
    if (m.action === 'admin-took-dispute') v.solver = m.payload.peer.pubkey
    else if (/^[0-9a-f]{64}$/.test(m.payload.peer.pubkey)) v.peer = m.payload.peer.pubkey
  }
  if (m.payload && 'dispute' in m.payload) v.disputeID = m.payload.dispute[0]
}

function apply(v: TradeView, l: Read, since: { at: number }): void {
  const m = l.m
  enrich(v, m)
  if (isNotice(m)) return
  const set = (s: TradeStatus): void => {
    if (v.status === 'success' || v.status === 'cooperatively-canceled' || v.status === 'canceled-by-admin') return
    if (v.status === 'settled' && s !== 'success' && s !== 'settled') return // nothing un-settles
    if (v.status === 'canceled' && !(s === 'pending' && v.record.maker)) return
    setStatus(v, s, l.at, since)
  }
  switch (m.action) {
    case 'new-order':
      if (v.status !== 'pending' && v.record.maker) reset(v)
      set('pending')
      readTerms(v, m)
      break
    case 'pay-bond-invoice':
      set('bond')
      Object.assign(v, { bondInvoice: invoiceOf(m), bondAmount: Number(orderOf(m)?.amount ?? 0) })
      break
    case 'add-invoice':
      set(orderOf(m)?.status === 'settled-hold-invoice' || v.status === 'settled' ? 'settled' : 'waiting-buyer-invoice')
      if (v.status === 'settled') v.payoutFailed = { attempts: 0, interval: 0 }
      since.at = l.at
      break
    case 'waiting-buyer-invoice':
      delete v.invoice
      set('waiting-buyer-invoice')
      break
    case 'pay-invoice': {
      const invoice = invoiceOf(m)
      if (invoice) v.invoice = invoice
      set('waiting-payment')
      break
    }
    case 'waiting-seller-to-pay': set('waiting-payment'); break
    case 'buyer-took-order': case 'hold-invoice-payment-accepted': set('active'); break
    case 'fiat-sent-ok': if (v.status !== 'dispute') set('fiat-sent'); break
    case 'released': case 'hold-invoice-payment-settled': case 'admin-settled':
      set('settled')
      if (v.record.side === 'seller' && m.action === 'admin-settled') set('success')
      break
    case 'purchase-completed': delete v.payoutFailed; set('success'); break
    case 'rate': v.mayRate = true; if (v.record.side === 'seller') set('success'); break
    case 'rate-received':
      if (m.payload && 'rating_user' in m.payload) v.rated = m.payload.rating_user
      break
    case 'payment-failed':
      set('settled')
      if (m.payload && 'payment_failed' in m.payload) v.payoutFailed = { attempts: m.payload.payment_failed.payment_attempts, interval: m.payload.payment_failed.payment_retries_interval }
      break
    case 'invoice-updated': delete v.payoutFailed; break
    case 'canceled': set('canceled'); break
    case 'cooperative-cancel-initiated-by-you': v.cancelAskedBy = 'me'; break
    case 'cooperative-cancel-initiated-by-peer': v.cancelAskedBy = 'peer'; break
    case 'cooperative-cancel-accepted': set('cooperatively-canceled'); break
    case 'hold-invoice-payment-canceled': set('lost'); break
    case 'dispute-initiated-by-you': case 'dispute-initiated-by-peer':
      v.disputeBy = m.action.endsWith('you') ? 'me' : 'peer'
      set('dispute')
      break
    case 'admin-took-dispute': set('dispute'); break
    case 'admin-canceled': set('canceled-by-admin'); break
    case 'add-bond-invoice': v.bondShare = Number(orderOf(m)?.amount ?? 0); break
    case 'bond-invoice-accepted': case 'bond-payout-completed': delete v.bondShare; break
    case 'orders': {
      const mine = m.payload && 'orders' in m.payload ? m.payload.orders.find((o) => o.id === v.record.order) : undefined
      if (mine?.status) setStatus(v, statusFrom(mine.status), l.at, since)
      break
    }
    case 'cant-do': break
    default: {
      const s = orderOf(m)?.status // a newer action that tells a status
      if (s && statusFrom(s) !== 'unknown') set(statusFrom(s))
    }
  }
}

/** The order is back in the book: what the last taker brought is forgotten. */
function reset(v: TradeView): void {
  for (const k of ['invoice', 'peer', 'peerRating', 'cancelAskedBy', 'locks', 'gets', 'bondInvoice'] as const) delete v[k]
  v.terms = { ...v.record.terms }
}

function readTerms(v: TradeView, m: Received): void {
  const o = orderOf(m)
  if (!o) return
  v.terms = {
    amount: Number(o.amount), currency: o.fiat_code, fiat: Number(o.fiat_amount), min: Number(o.min_amount ?? 0),
    max: Number(o.max_amount ?? 0), methods: o.payment_method, premium: Number(o.premium),
  }
  v.deadline = Number(o.expires_at ?? 0) || v.deadline || 0
}

/** Finds what the server said no to, and what it has not answered. */
function unanswered(v: TradeView, letters: Read[]): void {
  const { sent } = v.record
  const last = sent.at(-1)
  const requests = new Map(sent.map((s) => [s.request, s]))
  for (const l of letters) {
    if (l.m.action !== 'cant-do') continue
    const asked = requests.get(Number(l.m.request_id)) ?? (l.m.request_id === null ? last : undefined)
    if (asked && asked === last) v.refusal = { action: asked.action, reason: l.m.reason ?? '', at: l.at }
  }
  const first = ['new-order', 'take-buy', 'take-sell']
  if (v.status === 'sending' && v.refusal && first.includes(v.refusal.action)) v.status = 'refused'
  if (!last || v.refusal) return
  // Another device's clock may differ: what carries our request's id answers it, whatever its time.
  const answered = letters.some((l) => Number(l.m.request_id) === last.request || (l.at >= last.at && answers(last.action, l.m.action)))
  if (!answered) v.unanswered = last
}

const answerTo: Record<string, string[]> = {
  'new-order': ['new-order', 'pay-bond-invoice'],
  'take-buy': ['pay-invoice', 'pay-bond-invoice', 'canceled'],
  'take-sell': ['add-invoice', 'waiting-seller-to-pay', 'pay-bond-invoice', 'canceled'],
  'add-invoice': ['waiting-seller-to-pay', 'hold-invoice-payment-accepted', 'invoice-updated', 'purchase-completed'],
  'fiat-sent': ['fiat-sent-ok'],
  release: ['hold-invoice-payment-settled', 'rate'],
  cancel: ['canceled', 'cooperative-cancel-initiated-by-you', 'cooperative-cancel-accepted'],
  dispute: ['dispute-initiated-by-you', 'dispute-initiated-by-peer'],
  'rate-user': ['rate-received'],
  'add-bond-invoice': ['bond-invoice-accepted'],
}
const answers = (request: string, action: string): boolean => answerTo[request]?.includes(action) ?? false

function duties(v: TradeView): void {
  const seller = v.record.side === 'seller'
  const need = (n: Need): void => void v.needs.push(n)
  const can = (...c: Can[]): void => c.forEach((x) => v.can.add(x))
  const turn = (mine: boolean): void => void (v.turn = mine ? 'me' : 'peer')
  switch (v.status) {
    case 'sending': v.turn = 'server'; break
    case 'bond': need('pay-bond'); turn(true); break
    case 'pending': v.turn = 'anyone'; can('cancel'); break
    case 'waiting-buyer-invoice': if (!seller) need('give-invoice'); turn(!seller); can('cancel'); break
    case 'waiting-payment': if (seller) need('pay-invoice'); turn(seller); can('cancel'); break
    case 'active': if (!seller) need('send-fiat'), can('fiat-sent'); turn(!seller); can('cooperative-cancel', 'dispute', 'chat'); break
    case 'fiat-sent': if (seller) need('release'), can('release'); turn(seller); can('cooperative-cancel', 'dispute', 'chat'); break
    case 'dispute': v.turn = 'solver'; if (seller) can('release'); can('cooperative-cancel', 'chat'); break
    case 'settled': v.turn = 'server'; can('chat'); if (!seller && v.payoutFailed) need('replace-invoice'), (v.turn = 'me'); break
    case 'success': v.turn = 'nobody'; can('chat'); break
    case 'unknown': v.turn = 'server'; can('cancel', 'chat'); break
    default: v.turn = 'nobody'
  }
  if (v.cancelAskedBy === 'me') v.can.delete('cooperative-cancel')
  if (v.cancelAskedBy === 'peer' && v.can.has('cooperative-cancel')) need('answer-cancel')
  if (v.bondShare) need('give-bond-invoice')
  if (v.mayRate && !v.rated && (v.status === 'success' || (seller && v.status === 'settled'))) need('rate'), can('rate')
  if (v.unanswered) can('retry')
}

/** When the present state ends by itself, and how (Mostro protocol: waiting states, expiry, the escrow's last block). */
function deadlines(v: TradeView, since: number): void {
  const info = v.record.info
  const expiry = v.deadline
  delete v.deadline
  const takerWaits = v.record.kind === 'sell' ? 'waiting-buyer-invoice' : 'waiting-payment'
  switch (v.status) {
    case 'pending':
      if (expiry) Object.assign(v, { deadline: expiry, then: 'expire' })
      break
    case 'waiting-buyer-invoice': case 'waiting-payment':
      if (info?.waitSeconds) Object.assign(v, { deadline: since + info.waitSeconds, then: v.status === takerWaits ? 'reopen' : 'cancel' })
      break
    case 'active': case 'fiat-sent': case 'dispute':
      if (info?.holdBlocks) Object.assign(v, { deadline: lockedAt(v) + info.holdBlocks * blockSeconds, then: 'escrow' })
      break
  }
}

function lockedAt(v: TradeView): number {
  const accepted = ['buyer-took-order', 'hold-invoice-payment-accepted', 'waiting-buyer-invoice']
  return v.timeline.find((e) => accepted.includes(e.action))?.at ?? v.record.createdAt
}

/** How far a market price may lie from the server's own published one before a seller is warned off. */
export const maxDrift = 0.05

function judge(v: TradeView, at: number, rates?: Map<string, number>): void {
  if (!v.record.info || v.locks === undefined) return
  let agreed = v.record.terms.amount || undefined
  const price = rates?.get(v.terms.currency)
  if (!agreed && price && v.terms.fiat) agreed = Math.ceil(quote(v.terms.fiat, price, v.terms.premium) * (1 + maxDrift))
  const fault = judgeLock(v.invoice!, v.locks, agreed, v.record.info, at)
  if (fault) v.fault = fault
}

/** Whether a server asks the buyer for an invoice of less than was agreed. */
export function shortChanged(v: TradeView): boolean {
  const { amount } = v.record.terms
  if (!amount || v.gets === undefined || !v.record.info || v.record.side !== 'buyer') return false
  const share = v.record.info.feePayer === 'split' ? Math.round((v.record.info.fee * amount) / 2) : 0
  return v.gets < amount - share
}

function timeline(r: TradeRecord, letters: Read[]): Entry[] {
  const requests = new Map(r.sent.map((s) => [s.request, s.action]))
  const all: Entry[] = letters.map((l) => {
    const refused = l.m.action === 'cant-do' ? requests.get(Number(l.m.request_id)) : undefined
    return { at: l.at, who: 'server', action: isNotice(l.m) ? 'reputation' : l.m.action, letter: l.m, ...(refused ? { refused } : {}) }
  })
  const sent: Entry[] = r.sent.map((s) => ({ at: s.at, who: 'me', action: s.action }))
  return [...sent, ...all].sort((a, b) => a.at - b.at || (a.who === b.who ? 0 : a.who === 'me' ? -1 : 1))
}
