// A wallet elsewhere that pays and makes invoices for us: Nostr Wallet Connect (NIP-47).

import { decrypt as oldDecrypt, encrypt as oldEncrypt } from 'nostr-tools/nip04'
import { v2 as nip44 } from 'nostr-tools/nip44'
import { hexToBytes } from '@noble/hashes/utils.js'
import { isPubKey, now, sign, tag, verify, type Event } from './event'
import { keyOf, type Key } from './keys'
import { Pool } from './relay'

export interface Connection {
  wallet: string
  relays: string[]
  key: Key
}

/** Reads a nostr+walletconnect:// address; undefined if it is none. */
export function readConnection(s: string): Connection | undefined {
  const m = /^nostr\+?walletconnect:(?:\/\/)?([0-9a-f]{64})\/?\?(.*)$/i.exec(s.trim())
  if (!m) return undefined
  const q = new URLSearchParams(m[2])
  const secret = q.get('secret')?.toLowerCase()
  const relays = q.getAll('relay').filter((r) => /^wss?:\/\//.test(r))
  if (!isPubKey(secret) || relays.length === 0) return undefined
  return { wallet: m[1]!.toLowerCase(), relays, key: keyOf(hexToBytes(secret)) }
}

/** The wallet said no. */
export class WalletError extends Error {}

export class Wallet {
  readonly #pool: Pool
  #modern: Promise<boolean>
  #waiting = new Map<string, (e: Event) => void>()

  constructor(readonly c: Connection, pool = new Pool()) {
    this.#pool = pool
    this.#pool.use(c.relays)
    this.#modern = new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), 5000)
      this.#pool.subscribe('info', {
        filters: () => [{ kinds: [13194], authors: [c.wallet], limit: 1 }],
        events: ([e]) => {
          if (!e || !verify(e)) return
          clearTimeout(timer)
          resolve((tag(e, 'encryption') ?? '').split(' ').includes('nip44_v2'))
        },
      })
    })
    this.#pool.subscribe('answers', {
      filters: () => [{ kinds: [23195], authors: [c.wallet], '#p': [c.key.pub], since: now() - 60 }],
      events: (list) => list.forEach((e) => this.#waiting.get(tag(e, 'e') ?? '')?.(e)),
    })
  }

  async #ask<T>(method: string, params: object, patience: number): Promise<T | undefined> {
    const modern = await this.#modern
    const { wallet, key } = this.c
    const shared = nip44.utils.getConversationKey(key.secret, wallet)
    const plain = JSON.stringify({ method, params })
    const content = modern ? nip44.encrypt(plain, shared) : oldEncrypt(key.secret, wallet, plain)
    const tags = modern ? [['p', wallet], ['encryption', 'nip44_v2']] : [['p', wallet]]
    const e = sign({ kind: 23194, created_at: now(), tags, content }, key)
    const answer = new Promise<Event | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), patience)
      this.#waiting.set(e.id, (a) => {
        if (a.pubkey !== wallet || !verify(a)) return
        clearTimeout(timer)
        resolve(a)
      })
    })
    const out = await this.#pool.publish(e)
    if (!out.ok && !out.unclear) {
      this.#waiting.delete(e.id)
      throw new WalletError(out.reason)
    }
    const a = await answer
    this.#waiting.delete(e.id)
    if (!a) return undefined
    const text = a.content.includes('?iv=') ? oldDecrypt(key.secret, wallet, a.content) : nip44.decrypt(a.content, shared)
    const r = JSON.parse(text) as { error?: { message?: string; code?: string } | null; result?: T }
    if (r.error) throw new WalletError(r.error.message ?? r.error.code ?? 'refused')
    return r.result
  }

  /**
   * Asks to pay an invoice. A held payment has no answer until it is settled, so none within a while is no failure:
   * only WalletError is.
   */
  async pay(invoice: string): Promise<void> {
    await this.#ask('pay_invoice', { invoice }, 10_000)
  }

  async invoice(sats: number, description: string): Promise<string> {
    const r = await this.#ask<{ invoice?: string }>('make_invoice', { amount: sats * 1000, description, expiry: 86400 }, 20_000)
    if (typeof r?.invoice !== 'string') throw new WalletError('no answer')
    return r.invoice
  }

  close(): void {
    this.#pool.close()
  }
}
