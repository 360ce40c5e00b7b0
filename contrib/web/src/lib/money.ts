// Sats and what a trade costs. The seller locks the amount and his part of the fee; the buyer gets it less his part.

import { decode } from 'light-bolt11-decoder'
import type { ServerInfo } from './book'

/** Each side's share of a server's fee, sats. Half is rounded away from zero, as servers do. */
export function fees(amount: number, info: Pick<ServerInfo, 'fee' | 'feePayer'>): { seller: number; buyer: number } {
  if (info.feePayer === 'split') {
    const half = Math.round((info.fee * amount) / 2)
    return { seller: half, buyer: half }
  }
  return { seller: Math.round(info.fee * amount), buyer: 0 }
}

/** What a fiat amount is at the market price with a premium, sats. */
export function quote(fiat: number, perBitcoin: number, premium: number): number {
  return Math.trunc((fiat / perBitcoin) * 1e8 * (1 - premium / 100))
}

/** Fiat per bitcoin of an offer as the taker pays it: premium and the server's fee inside. */
export function effectivePrice(side: 'buyer' | 'seller', fiat: number, sats: number, info: Pick<ServerInfo, 'fee' | 'feePayer'>): number {
  const f = fees(sats, info)
  const net = side === 'buyer' ? sats - f.buyer : sats + f.seller
  return net > 0 ? (fiat / net) * 1e8 : 0
}

export interface Invoice {
  /** msat; undefined: any amount */
  msat?: bigint
  hash: string
  /** seconds */
  expiresAt: number
  network: string
  description: string
}

const prefixes: Record<string, string> = { bc: 'mainnet', tb: 'testnet', tbs: 'signet', bcrt: 'regtest', sb: 'simnet' }

/** Reads a BOLT 11 invoice. Undefined if it is none. */
export function readInvoice(s: string): Invoice | undefined {
  const clean = s.trim().toLowerCase().replace(/^lightning:/, '')
  if (!/^ln[a-z0-9]+1[a-z0-9]+$/.test(clean) || clean.length > 4000) return undefined
  try {
    const { sections } = decode(clean)
    const get = (name: string): unknown => (sections.find((x) => x.name === name) as { value?: unknown } | undefined)?.value
    const amount = get('amount')
    const hash = get('payment_hash')
    const time = get('timestamp')
    if (typeof hash !== 'string' || typeof time !== 'number') return undefined
    const expiry = get('expiry')
    const prefix = /^ln(bcrt|bc|tbs|tb|sb)/.exec(clean)?.[1] ?? ''
    return {
      hash, network: prefixes[prefix] ?? 'unknown', expiresAt: time + (typeof expiry === 'number' ? expiry : 3600),
      description: typeof get('description') === 'string' ? (get('description') as string) : '',
      ...(typeof amount === 'string' ? { msat: BigInt(amount) } : {}),
    }
  } catch {
    return undefined
  }
}

export type Destination =
  | { type: 'bolt11'; text: string; invoice: Invoice }
  | { type: 'offer' | 'address' | 'lnurl'; text: string }

/** What a buyer may give to be paid: an invoice, a BOLT 12 offer, a Lightning address or BIP 353 name, an LNURL. */
export function readDestination(s: string): Destination | undefined {
  let t = s.trim().replace(/^lightning:/i, '').replace(/^\u20bf/, '')
  const uri = /^bitcoin:[^?]*\?(.*)$/i.exec(t)
  if (uri) {
    const q = new URLSearchParams(uri[1])
    t = q.get('lno') ?? q.get('lightning') ?? ''
  }
  const lower = t.toLowerCase()
  if (/^lno1[a-z0-9+\s]+$/.test(lower)) return { type: 'offer', text: lower.replace(/\+\s*/g, '') }
  if (/^lnurl1[a-z0-9]+$/.test(lower)) return { type: 'lnurl', text: lower }
  if (/^[a-z0-9_.+-]{1,64}@([a-z0-9-]+\.)*[a-z0-9-]+(:\d+)?$/.test(lower)) return { type: 'address', text: lower }
  const invoice = readInvoice(t)
  return invoice ? { type: 'bolt11', text: lower, invoice } : undefined
}

export type InvoiceFault = 'amount' | 'network' | 'expired' | 'soon'

/** What is wrong with a buyer's own invoice of so many sats; undefined if nothing. */
export function judgePayout(i: Invoice, sats: number, info: Pick<ServerInfo, 'networks' | 'invoiceWindow'>, at: number): InvoiceFault | undefined {
  if (i.msat !== undefined && i.msat !== BigInt(sats) * 1000n) return 'amount'
  if (!sameNetwork(i.network, info.networks)) return 'network'
  if (i.expiresAt <= at) return 'expired'
  return i.expiresAt < at + info.invoiceWindow ? 'soon' : undefined
}

export const sameNetwork = (network: string, networks: string): boolean => {
  const known = networks.split(',').map((n) => n.trim()).filter(Boolean)
  return known.length === 0 || known.includes(network) || (network === 'mainnet' && known.includes('bitcoin'))
}

export type LockFault = 'unreadable' | 'not-as-said' | 'too-much' | 'network' | 'expired'

/**
 * What is wrong with the invoice that a seller is asked to pay. It must be exactly what the message says, and that no
 * more than was agreed: amount and the server's fee. Undefined if all is well.
 */
export function judgeLock(
  bolt11: string, said: number, agreed: number | undefined, info: Pick<ServerInfo, 'fee' | 'feePayer' | 'networks'>, at: number,
): LockFault | undefined {
  const i = readInvoice(bolt11)
  if (!i) return 'unreadable'
  if (i.msat === undefined || i.msat !== BigInt(said) * 1000n) return 'not-as-said'
  if (agreed !== undefined && said > agreed + fees(agreed, info).seller) return 'too-much'
  if (!sameNetwork(i.network, info.networks)) return 'network'
  return i.expiresAt <= at ? 'expired' : undefined
}
