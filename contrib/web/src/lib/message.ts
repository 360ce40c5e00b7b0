// Messages between a trader and a Mostro: the Mostro protocol's JSON, read as strictly as its reference does or as
// tolerantly as a client should, and written byte for byte as everybody signs it.

import {
  asObject, bool, float, i64, list, nullable, oneOf, omitted, parseJSON, parseUUID, ShapeError, struct, text, tuple,
  u32, u64, u8, uuid, word, writeText, type Int, type Of,
} from './schema'

export type { Int } from './schema'

export const actions = [
  'new-order', 'take-sell', 'take-buy', 'pay-invoice', 'pay-bond-invoice', 'fiat-sent', 'fiat-sent-ok', 'release',
  'released', 'cancel', 'canceled', 'cooperative-cancel-initiated-by-you', 'cooperative-cancel-initiated-by-peer',
  'dispute-initiated-by-you', 'dispute-initiated-by-peer', 'cooperative-cancel-accepted', 'buyer-invoice-accepted',
  'bond-invoice-accepted', 'purchase-completed', 'bond-payout-completed', 'bond-slashed',
  'hold-invoice-payment-accepted', 'hold-invoice-payment-settled', 'hold-invoice-payment-canceled',
  'waiting-seller-to-pay', 'waiting-buyer-invoice', 'add-invoice', 'add-bond-invoice', 'buyer-took-order', 'rate',
  'rate-user', 'rate-received', 'cant-do', 'dispute', 'admin-cancel', 'admin-canceled', 'admin-settle',
  'admin-settled', 'admin-add-solver', 'admin-take-dispute', 'admin-took-dispute', 'payment-failed',
  'invoice-updated', 'send-dm', 'trade-pubkey', 'restore-session', 'last-trade-index', 'orders', 'add-cashu-escrow',
  'cashu-escrow-locked', 'cashu-pm-signature',
] as const
export type Action = (typeof actions)[number]

export const statuses = [
  'active', 'canceled', 'canceled-by-admin', 'settled-by-admin', 'completed-by-admin', 'dispute', 'expired',
  'fiat-sent', 'settled-hold-invoice', 'pending', 'success', 'waiting-buyer-invoice', 'waiting-payment',
  'waiting-taker-bond', 'cooperatively-canceled', 'in-progress', 'waiting-maker-bond',
] as const
export type Status = (typeof statuses)[number]

export const reasons = [
  'invalid_signature', 'invalid_trade_index', 'invalid_amount', 'invalid_invoice', 'invalid_payment_request',
  'invalid_peer', 'invalid_rating', 'invalid_text_message', 'invalid_order_kind', 'invalid_order_status',
  'invalid_pubkey', 'invalid_parameters', 'invalid_payload', 'order_already_canceled', 'cant_create_user',
  'is_not_your_order', 'not_allowed_by_status', 'out_of_range_fiat_amount', 'out_of_range_sats_amount',
  'is_not_your_dispute', 'dispute_taken_by_admin', 'not_authorized', 'dispute_creation_error', 'not_found',
  'invalid_dispute_status', 'invalid_action', 'pending_order_exists', 'invalid_fiat_currency', 'too_many_requests',
  'price_too_stale', 'invalid_cashu_token', 'cashu_mint_unavailable', 'invalid_mint_url', 'cashu_escrow_not_locked',
  'cashu_signature_missing',
] as const
export type Reason = (typeof reasons)[number]

const wrappers = ['order', 'dispute', 'cant-do', 'rate', 'dm', 'restore'] as const
export type Wrapper = (typeof wrappers)[number]

const smallOrder = struct(
  {
    id: omitted(uuid), kind: nullable(word('buy', 'sell')), status: nullable(word(...statuses)), amount: i64, fiat_code: text,
    min_amount: nullable(i64), max_amount: nullable(i64), fiat_amount: i64, payment_method: text, premium: i64,
    buyer_trade_pubkey: omitted(text), seller_trade_pubkey: omitted(text), buyer_invoice: omitted(text),
    created_at: nullable(i64), expires_at: nullable(i64),
  },
  true,
)
export type SmallOrder = Of<typeof smallOrder>

const userInfo = struct({ rating: float, reviews: i64, operating_days: u64 })
export type UserInfo = Of<typeof userInfo>

const solverDisputeInfo = struct({
  id: uuid, kind: text, status: text, hash: nullable(text), preimage: nullable(text), order_previous_status: text,
  initiator_pubkey: text, buyer_pubkey: nullable(text), seller_pubkey: nullable(text), initiator_full_privacy: bool,
  counterpart_full_privacy: bool, initiator_info: nullable(userInfo), counterpart_info: nullable(userInfo), premium: i64,
  payment_method: text, amount: i64, fiat_amount: i64, fee: i64, routing_fee: i64, buyer_invoice: nullable(text),
  invoice_held_at: i64, taken_at: i64, created_at: i64,
})
export type SolverDisputeInfo = Of<typeof solverDisputeInfo>

const payload = oneOf({
  order: smallOrder,
  payment_request: tuple(nullable(smallOrder), text, nullable(i64)),
  text_message: text,
  peer: struct({ pubkey: text, reputation: nullable(userInfo) }),
  rating_user: u8,
  amount: i64,
  dispute: tuple(uuid, nullable(solverDisputeInfo)),
  cant_do: nullable(word(...reasons)),
  next_trade: tuple(text, u32),
  payment_failed: struct({ payment_attempts: u32, payment_retries_interval: u32 }),
  restore_data: struct({
    orders: list(struct({ order_id: uuid, trade_index: i64, status: text })),
    disputes: list(
      struct({
        dispute_id: uuid, order_id: uuid, trade_index: i64, status: text, initiator: nullable(word('buyer', 'seller')),
        solver_pubkey: nullable(text),
      }),
    ),
  }),
  ids: list(uuid),
  orders: list(smallOrder),
  bond_resolution: struct({ slash_seller: bool, slash_buyer: bool }),
  bond_payout_request: struct({ order: smallOrder, slashed_at: i64 }),
  cashu_lock_proof: struct({
    token: text, mint_url: text, buyer_pubkey: text, seller_pubkey: text, mostro_pubkey: text, fee_token: omitted(text),
  }),
  cashu_signatures: list(struct({ secret: text, signature: text })),
})
export type Payload = Of<typeof payload>

const body = struct({
  version: u8, request_id: nullable(u64), trade_index: nullable(i64), id: omitted(uuid), action: word(...actions),
  payload: nullable(payload), receipt: omitted(text),
})

export interface Message {
  wrapper: Wrapper
  version: number
  request_id: Int | null
  trade_index: Int | null
  id?: string | undefined
  action: Action
  payload: Payload | null
  /** A server's signed word that it holds the escrow; a member of newer servers. */
  receipt?: string | undefined
}

/** A message as a client keeps it: words that we do not know are in `action`, and `raw` has all of it. */
export interface Received extends Omit<Message, 'action'> {
  action: Action | (string & {})
  /** The reason of a refusal, known or not. */
  reason?: string
  /** Something in it was not understood. */
  partial: boolean
}

/** The longest message that NIP-44 carries. */
export const maxMessage = 65535

/** Reads a message as strictly as a server must. Throws ShapeError. */
export function decode(json: string): Message {
  if (json.length > maxMessage) throw new ShapeError('too long')
  const [wrapper, inner] = unwrapOne(parseJSON(json))
  if (!(wrappers as readonly string[]).includes(wrapper)) throw new ShapeError('unknown wrapper')
  const b = body.read(withStringReceipt(inner), { lenient: false })
  return { wrapper: wrapper as Wrapper, ...b }
}

/** A receipt that is no text is an unknown member, and those are passed over. */
function withStringReceipt(inner: unknown): unknown {
  const from = asObject(inner)
  return typeof from.get('receipt') === 'string' ? from : new Map([...from].filter(([name]) => name !== 'receipt'))
}

function unwrapOne(v: unknown): [string, unknown] {
  const entries = [...asObject(v)]
  if (entries.length !== 1) throw new ShapeError('want one wrapper')
  return entries[0]!
}

/** Writes the canonical JSON of a message: the bytes that are signed. */
export function encode(m: Message): string {
  return '{' + writeText(m.wrapper) + ':' + body.write(m) + '}'
}

/**
 * Reads whatever can be understood of a message. Only what is no message at all is refused, with ShapeError: a newer
 * server may use an action, a status or a member that we do not know, and the rest of the trade must not be lost.
 */
export function decodeTolerant(json: string): Received {
  try {
    const m = decode(json)
    return { ...m, partial: false, ...reasonOf(m.payload) }
  } catch {
    /* on to the tolerant way */
  }
  if (json.length > maxMessage) throw new ShapeError('too long')
  const [wrapper, inner] = unwrapOne(parseJSON(json))
  const from = asObject(inner)
  const action = from.get('action')
  if (typeof action !== 'string' || action === '') throw new ShapeError('no action')
  const or = <T>(shape: { read(v: unknown, o: { lenient: boolean }): T }, name: string, other: T): T => {
    try {
      return shape.read(from.get(name), { lenient: true })
    } catch {
      return other
    }
  }
  const id = from.get('id')
  const m: Received = {
    wrapper: wrapper as Wrapper, version: or(u8, 'version', 0), request_id: or(nullable(u64), 'request_id', null),
    trade_index: or(nullable(i64), 'trade_index', null), action, payload: or(nullable(payload), 'payload', null), partial: true,
  }
  if (typeof id === 'string') m.id = parseUUID(id)
  return { ...m, ...reasonOf(m.payload), ...oddReason(from.get('payload')) }
}

function reasonOf(p: Payload | null): { reason?: string } {
  return p && 'cant_do' in p && p.cant_do ? { reason: p.cant_do } : {}
}

/** One client nests the reason once more: {"cant_do":{"cant-do":"…"}}. */
function oddReason(p: unknown): { reason?: string } {
  const inner: unknown = p instanceof Map ? p.get('cant_do') : undefined
  const [reason] = inner instanceof Map ? inner.values() : []
  return typeof reason === 'string' ? { reason } : {}
}

/** The order that a message carries, by itself or in a payment request. */
export function orderOf(m: Received): SmallOrder | undefined {
  const p = m.payload
  if (!p) return undefined
  if ('order' in p) return p.order
  if ('payment_request' in p) return p.payment_request[0] ?? undefined
  if ('bond_payout_request' in p) return p.bond_payout_request.order
  return undefined
}

/** The invoice that a message asks to pay. */
export function invoiceOf(m: Received): string | undefined {
  return m.payload && 'payment_request' in m.payload ? m.payload.payment_request[1] : undefined
}

/** Whether a pay-invoice or add-invoice asks for nothing and only tells the other side's reputation. */
export function isNotice(m: Received): boolean {
  return (m.action === 'pay-invoice' || m.action === 'add-invoice') && m.payload !== null && 'peer' in m.payload
}

/** A request id below 2^53, which every client and server can hold. */
export function newRequestID(): number {
  const [a, b] = crypto.getRandomValues(new Uint32Array(2))
  return (a! & 0x1fffff) * 2 ** 32 + b!
}
