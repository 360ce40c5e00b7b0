// What Mostros publish: orders (NIP-69, kind 38383), themselves (38385), disputes (38386), ratings (38384), prices
// (30078). All of it is written by strangers: a tag that does not make sense is left out, and the rest is read.

import { kinds, tag, type Event } from './event'
import { parseUUID } from './schema'
import type { Way } from './transport'

export type Kind = 'buy' | 'sell'

export interface Rating {
  /** 0 to 5 */
  score: number
  reviews: number
  days: number
}

export interface Offer {
  id: string
  /** the server's public key */
  server: string
  /** what the maker does */
  kind: Kind
  /** pending, in-progress, success, canceled; or a newer word */
  status: string
  /** sats; 0: at the market price */
  amount: number
  currency: string
  fiat: number
  /** a range of fiat amounts, of which the taker chooses one */
  min: number
  max: number
  methods: string[]
  premium: number
  rating?: Rating
  /** seconds; 0: none */
  expiresAt: number
  network: string
  created_at: number
  event: string
}

export const isRange = (o: { max: number }): boolean => o.max > 0

const integer = (s: string | undefined): number | undefined => {
  if (s === undefined || !/^-?\d{1,15}$/.test(s)) return undefined
  return Number(s)
}

const decimal = (s: string | undefined): number | undefined => {
  if (s === undefined || !/^-?\d{1,12}(\.\d{1,12})?$/.test(s)) return undefined
  return Number(s)
}

/** Words of strangers are shown as text, but not at any length. */
export const clip = (s: string, n: number): string => (s.length > n ? [...s].slice(0, n).join('') + '…' : s)

/** Reads an order event. Undefined if it lacks what an order needs. */
export function readOffer(e: Event): Offer | undefined {
  const id = parseUUID(tag(e, 'd') ?? '')
  const kind = tag(e, 'k')
  const status = tag(e, 's')
  const currency = tag(e, 'f')
  if (e.kind !== kinds.order || !id || !status || !currency || (kind !== 'buy' && kind !== 'sell')) return undefined
  const fa = e.tags.find((t) => t[0] === 'fa') ?? []
  const from = decimal(fa[1]) ?? 0
  const to = decimal(fa[2]) ?? 0
  const range = fa.length > 2 && to > from && from >= 0
  const rating = readRating(tag(e, 'rating'))
  return {
    id, kind, status: clip(status, 40), server: e.pubkey, currency: clip(currency, 10).toUpperCase(),
    amount: Math.max(0, integer(tag(e, 'amt')) ?? 0), fiat: range ? 0 : Math.max(0, from), min: range ? from : 0, max: range ? to : 0,
    methods: (e.tags.find((t) => t[0] === 'pm') ?? []).slice(1, 21).flatMap((m) => m.split(',')).map((m) => clip(m.trim(), 60)).filter(Boolean),
    premium: decimal(tag(e, 'premium')) ?? 0, expiresAt: integer(tag(e, 'expires_at')) ?? integer(tag(e, 'expiration')) ?? 0,
    network: clip(tag(e, 'network') ?? '', 20), created_at: e.created_at, event: e.id, ...(rating ? { rating } : {}),
  }
}

/** Two forms are about: ["rating",{…}] as servers write it, and the bare object of NIP-69. */
function readRating(s: string | undefined): Rating | undefined {
  if (!s || s.length > 1000) return undefined
  try {
    let v: unknown = JSON.parse(s)
    if (Array.isArray(v)) v = v[1]
    if (typeof v !== 'object' || v === null) return undefined
    const { total_rating, total_reviews, days } = v as Record<string, unknown>
    const n = (x: unknown): number => (typeof x === 'number' && Number.isFinite(x) && x >= 0 ? x : 0)
    return { score: Math.min(5, n(total_rating)), reviews: n(total_reviews), days: n(days) }
  } catch {
    return undefined
  }
}

/** Whether an offer can be taken now. */
export const takeable = (o: Offer, at: number): boolean => o.status === 'pending' && (o.expiresAt === 0 || o.expiresAt > at)

export interface ServerInfo {
  pubkey: string
  at: number
  name: string
  version: string
  /** the transport for requests; a server that names none speaks gift wrap */
  way: Way
  /** leading zero bits to work on each event; the greater of the two numbers that servers publish */
  work: number
  /** fraction of the amount */
  fee: number
  feePayer: 'seller' | 'split'
  minAmount: number
  maxAmount: number
  /** empty: all */
  currencies: string[]
  expirationHours: number
  /** how long a party may take over its next step, seconds; 0: not said */
  waitSeconds: number
  /** blocks for which the seller's sats can stay locked; 0: not said */
  holdBlocks: number
  /** how long a payout invoice must live at least, seconds */
  invoiceWindow: number
  maxOrdersPerResponse: number
  nodeKey: string
  nodeAlias: string
  nodeVersion: string
  networks: string
  bond: boolean
  /** all tags, first value each: what newer servers say */
  tags: Map<string, string>
}

/** Reads a server's word of itself. What is missing or unreadable becomes 0 or empty. */
export function readInfo(e: Event): ServerInfo | undefined {
  if (e.kind !== kinds.info || tag(e, 'd') !== e.pubkey) return undefined
  const tags = new Map<string, string>()
  for (const t of e.tags) if (t.length > 1 && !tags.has(t[0]!)) tags.set(t[0]!, clip(t[1]!, 500))
  const num = (name: string): number => Math.max(0, integer(tags.get(name)) ?? 0)
  const y = e.tags.find((t) => t[0] === 'y')
  return {
    pubkey: e.pubkey, at: e.created_at, name: clip(y?.[2]?.trim() ?? '', 60), version: clip(tags.get('mostro_version') ?? '', 40),
    way: tags.get('protocol_version') === '2' ? 2 : 1, work: Math.max(num('pow'), num('pow_first_contact')),
    fee: Math.min(1, Math.max(0, decimal(tags.get('fee')) ?? 0)), feePayer: tags.get('fee_payer') === 'seller' ? 'seller' : 'split',
    minAmount: num('min_order_amount'), maxAmount: num('max_order_amount'),
    currencies: (tags.get('fiat_currencies_accepted') ?? '').split(',').map((c) => c.trim().toUpperCase()).filter(Boolean),
    expirationHours: num('expiration_hours'), waitSeconds: num('expiration_seconds'), holdBlocks: num('hold_invoice_cltv_delta'),
    invoiceWindow: num('invoice_expiration_window'), maxOrdersPerResponse: num('max_orders_per_response') || 10,
    nodeKey: tags.get('lnd_node_pubkey') ?? '', nodeAlias: clip(tags.get('lnd_node_alias') ?? '', 60), nodeVersion: clip(tags.get('lnd_version') ?? '', 60),
    networks: tags.get('lnd_networks') ?? '', bond: tags.get('bond_enabled') === 'true', tags,
  }
}

export interface DisputeNews {
  id: string
  server: string
  status: string
  initiator: string
  at: number
}

export function readDispute(e: Event): DisputeNews | undefined {
  const id = parseUUID(tag(e, 'd') ?? '')
  const status = tag(e, 's')
  if (e.kind !== kinds.dispute || !id || !status) return undefined
  return { id, server: e.pubkey, status: clip(status, 40), initiator: tag(e, 'initiator') ?? 'unknown', at: e.created_at }
}

/** The rating of a trade key (kind 38384). */
export function readRatingEvent(e: Event): (Rating & { key: string; at: number }) | undefined {
  const key = tag(e, 'd')
  if (e.kind !== kinds.rating || !key) return undefined
  return {
    key, at: e.created_at, score: Math.min(5, Math.max(0, decimal(tag(e, 'total_rating')) ?? 0)),
    reviews: Math.max(0, integer(tag(e, 'total_reviews')) ?? 0), days: Math.max(0, integer(tag(e, 'days')) ?? 0),
  }
}

/** Fiat per bitcoin, by currency. */
export type Rates = Map<string, number>

export function readRates(e: Event): Rates | undefined {
  if (e.kind !== kinds.rates || tag(e, 'd') !== 'mostro-rates' || e.content.length > 100_000) return undefined
  try {
    const btc = (JSON.parse(e.content) as { BTC?: Record<string, unknown> }).BTC
    if (typeof btc !== 'object' || btc === null) return undefined
    const rates: Rates = new Map()
    for (const [code, v] of Object.entries(btc)) if (typeof v === 'number' && Number.isFinite(v) && v > 0) rates.set(code.toUpperCase(), v)
    return rates
  } catch {
    return undefined
  }
}
