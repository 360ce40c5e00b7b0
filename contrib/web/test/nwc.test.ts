import { v2 as nip44 } from 'nostr-tools/nip44'
import { bytesToHex } from '@noble/hashes/utils.js'
import { decrypt as oldDecrypt, encrypt as oldEncrypt } from 'nostr-tools/nip04'
import { describe, expect, it } from 'vitest'
import { sign, type Event } from '../src/lib/event'
import { readConnection, Wallet, WalletError } from '../src/lib/nwc'
import { Pool } from '../src/lib/relay'
import { node, trade } from './golden'

const uri = `nostr+walletconnect://${node.pub}?relay=wss%3A%2F%2Fr.example&secret=${bytesToHex(trade.secret)}`

describe('a wallet connection', () => {
  it('is read from its address, and from nothing else', () => {
    expect(readConnection(` ${uri} `)).toMatchObject({ wallet: node.pub, relays: ['wss://r.example'], key: { pub: trade.pub } })
    for (const s of ['', 'https://x', uri.replace('relay', 'r'), uri.replace('secret', 's'), uri.slice(0, 60), uri.replace('wss', 'http')]) expect(readConnection(s)).toBeUndefined()
  })
})

/** A wallet at the far end of a relay, as NIP-47 describes it. */
class WalletRelay {
  readyState = 0
  onopen?: () => void
  onmessage?: (e: { data: string }) => void
  onclose?: unknown
  subs = new Map<string, { kinds: number[] }>()
  asked: { method: string; params: Record<string, unknown> }[] = []
  constructor(readonly modern: boolean, readonly answer: (m: string) => object | undefined) {
    queueMicrotask(() => {
      this.readyState = 1
      this.onopen?.()
    })
  }
  close(): void {}
  say(...frame: unknown[]): void {
    queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(frame) }))
  }
  deliver(e: Event): void {
    for (const [id, f] of this.subs) if (f.kinds.includes(e.kind)) this.say('EVENT', id, e)
  }
  send(text: string): void {
    const [verb, a, b] = JSON.parse(text) as [string, never, never]
    const shared = nip44.utils.getConversationKey(node.secret, trade.pub)
    if (verb === 'REQ') {
      this.subs.set(a, b)
      if ((b as { kinds: number[] }).kinds.includes(13194))
        this.deliver(sign({ kind: 13194, created_at: 1, content: 'pay_invoice make_invoice', tags: this.modern ? [['encryption', 'nip44_v2 nip04']] : [] }, node))
      this.say('EOSE', a)
    }
    if (verb !== 'EVENT') return
    const e = a as Event
    this.say('OK', e.id, true, '')
    const plain = this.modern ? nip44.decrypt(e.content, shared) : oldDecrypt(node.secret, trade.pub, e.content)
    const m = JSON.parse(plain) as { method: string; params: Record<string, unknown> }
    this.asked.push(m)
    const r = this.answer(m.method)
    if (!r) return
    const out = JSON.stringify({ result_type: m.method, ...r })
    const content = this.modern ? nip44.encrypt(out, shared) : oldEncrypt(node.secret, trade.pub, out)
    this.deliver(sign({ kind: 23195, created_at: Math.floor(Date.now() / 1000), content, tags: [['p', trade.pub], ['e', e.id]] }, node))
  }
}

describe.each([true, false])('a connected wallet (NIP-44: %s)', (modern) => {
  const connect = (answer: (m: string) => object | undefined): [Wallet, WalletRelay] => {
    const relay = new WalletRelay(modern, answer)
    return [new Wallet(readConnection(uri)!, new Pool(() => {}, () => relay as unknown as WebSocket)), relay]
  }
  it('makes an invoice', async () => {
    const [w, relay] = connect(() => ({ result: { invoice: 'lnbc1made' } }))
    expect(await w.invoice(2100, 'x')).toBe('lnbc1made')
    expect(relay.asked[0]).toMatchObject({ method: 'make_invoice', params: { amount: 2_100_000 } })
    w.close()
  })
  it('says why it does not pay', async () => {
    const [w] = connect(() => ({ error: { code: 'QUOTA_EXCEEDED', message: 'over the budget' } }))
    await expect(w.pay('lnbc1x')).rejects.toThrow(WalletError)
    w.close()
  })
})
