// The requests of a trader, as messages (Mostro protocol, "Actions").

import type { Action, Message, Payload } from './message'

export interface OrderSpec {
  kind: 'buy' | 'sell'
  /** sats; 0: at the market price */
  amount: number
  currency: string
  /** 0 on a range */
  fiat: number
  min: number
  max: number
  methods: string
  premium: number
  /** where a buyer wants the sats; can follow later */
  invoice?: string | undefined
  /** seconds; undefined: as the server does by default */
  expiresAt?: number | undefined
}

export interface Asking {
  request: number
  /** null in full privacy */
  tradeIndex: number | null
  order?: string | undefined
}

const message = (a: Asking, action: Action, payload: Payload | null, tradeIndex: number | null = null): Message => ({
  wrapper: action === 'restore-session' || action === 'last-trade-index' ? 'restore' : 'order', version: 2,
  request_id: a.request, trade_index: tradeIndex, ...(a.order ? { id: a.order } : {}), action, payload,
})

export function newOrder(a: Asking, s: OrderSpec): Message {
  const range = s.max > 0
  return message(
    a, 'new-order',
    {
      order: {
        kind: s.kind, status: 'pending', amount: s.amount, fiat_code: s.currency, min_amount: range ? s.min : null,
        max_amount: range ? s.max : null, fiat_amount: range ? 0 : s.fiat, payment_method: s.methods, premium: s.premium,
        ...(s.kind === 'buy' && s.invoice ? { buyer_invoice: s.invoice } : {}), created_at: 0, expires_at: s.expiresAt ?? null,
      },
    },
    a.tradeIndex,
  )
}

/** `fiat` is the taker's choice on a range. */
export function take(a: Asking, kind: 'buy' | 'sell', fiat?: number, invoice?: string): Message {
  const payload: Payload | null = invoice ? { payment_request: [null, invoice, fiat ?? null] } : fiat ? { amount: fiat } : null
  return message(a, kind === 'sell' ? 'take-sell' : 'take-buy', payload, a.tradeIndex)
}

export const addInvoice = (a: Asking, invoice: string): Message => message(a, 'add-invoice', { payment_request: [null, invoice, null] })
export const addBondInvoice = (a: Asking, invoice: string): Message => message(a, 'add-bond-invoice', { payment_request: [null, invoice, null] })

/** `next` is the key for the rest of an own range order. */
export const fiatSent = (a: Asking, next?: [string, number]): Message => message(a, 'fiat-sent', next ? { next_trade: next } : null)
export const release = (a: Asking, next?: [string, number]): Message => message(a, 'release', next ? { next_trade: next } : null)
export const cancel = (a: Asking): Message => message(a, 'cancel', null)
export const dispute = (a: Asking): Message => message(a, 'dispute', null)
export const rate = (a: Asking, stars: number): Message => message(a, 'rate-user', { rating_user: stars })
export const orders = (a: Asking, ids: string[]): Message => message({ ...a, order: undefined }, 'orders', { ids })
export const restoreSession = (a: Asking): Message => message({ ...a, order: undefined }, 'restore-session', null)
export const lastTradeIndex = (a: Asking): Message => message({ ...a, order: undefined }, 'last-trade-index', null)
