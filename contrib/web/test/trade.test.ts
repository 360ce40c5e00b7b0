import { describe, expect, it } from 'vitest'
import { addLetters, isFinal, viewTrade, type SavedLetter, type TradeRecord, type TradeStatus } from '../src/lib/trade'
import { O1, seller, trade } from './golden'

const t0 = 1_767_225_600
const info = { fee: 0.006, feePayer: 'seller' as const, waitSeconds: 900, holdBlocks: 144, networks: 'regtest', invoiceWindow: 3600, expirationHours: 24 }

function record(over: Partial<TradeRecord> = {}): TradeRecord {
  return {
    index: 4, server: 'aa'.repeat(32), order: O1, side: 'buyer', kind: 'sell', maker: false, private: false, range: false, createdAt: t0, letters: [],
    sent: [{ at: t0, action: 'take-sell', request: 1 }], info,
    terms: { amount: 10000, currency: 'EUR', fiat: 10, min: 0, max: 0, methods: 'SEPA', premium: 0 }, ...over,
  }
}

let n = 0
const order = (o: object): string =>
  JSON.stringify({ order: { id: O1, kind: 'sell', status: 'pending', amount: 10000, fiat_code: 'EUR', min_amount: null, max_amount: null, fiat_amount: 10, payment_method: 'SEPA', premium: 0, created_at: t0, expires_at: t0 + 86400, ...o } })

/** A letter; ten seconds after the one before unless a time is given. */
function letter(action: string, payload = 'null', at = t0 + ++n * 10, request: number | null = null): SavedLetter {
  const wrapper = action === 'cant-do' ? 'cant-do' : 'order'
  const raw = `{"${wrapper}":{"version":2,"request_id":${request},"trade_index":null,"id":"${O1}","action":"${action}","payload":${payload}}}`
  return { event: `${++n}`.padStart(64, '0'), at, raw }
}

const peers = { buyer_trade_pubkey: trade.pub, seller_trade_pubkey: seller.pub }
const buyerPath = (): [SavedLetter, TradeStatus][] => [
  [letter('add-invoice', order({ status: 'waiting-buyer-invoice', amount: 10000, expires_at: null })), 'waiting-buyer-invoice'],
  [letter('waiting-seller-to-pay'), 'waiting-payment'],
  [letter('hold-invoice-payment-accepted', order({ status: 'active', ...peers })), 'active'],
  [letter('fiat-sent-ok', JSON.stringify({ peer: { pubkey: seller.pub, reputation: null } })), 'fiat-sent'],
  [letter('released'), 'settled'],
  [letter('purchase-completed'), 'success'],
  [letter('rate'), 'success'],
]

const view = (letters: SavedLetter[], over: Partial<TradeRecord> = {}, at = t0 + 100): ReturnType<typeof viewTrade> => {
  const r = record(over)
  addLetters(r, letters)
  return viewTrade(r, at)
}

describe('a buyer who takes a sell order', () => {
  it('is led from step to step', () => {
    const path = buyerPath()
    path.forEach(([, status], i) => expect(view(path.slice(0, i + 1).map(([l]) => l)).status).toBe(status))
    const at = (i: number): ReturnType<typeof viewTrade> => view(path.slice(0, i).map(([l]) => l))
    expect(at(0)).toMatchObject({ status: 'sending', turn: 'server', unanswered: { action: 'take-sell' } })
    expect(at(1)).toMatchObject({ needs: ['give-invoice'], turn: 'me', gets: 10000, then: 'reopen' })
    expect(at(2)).toMatchObject({ needs: [], turn: 'peer', then: 'cancel' })
    expect(at(3)).toMatchObject({ needs: ['send-fiat'], turn: 'me', peer: seller.pub, then: 'escrow' })
    expect([...at(3).can].sort()).toEqual(['chat', 'cooperative-cancel', 'dispute', 'fiat-sent'])
    expect(at(4)).toMatchObject({ needs: [], turn: 'peer' })
    expect(at(5)).toMatchObject({ turn: 'server', live: true })
    expect(at(7)).toMatchObject({ needs: ['rate'], mayRate: true, live: false })
  })
  it('sees the same whatever the order and number of his letters', () => {
    const letters = buyerPath().map(([l]) => l)
    const want = view(letters)
    let seed = 3
    for (let i = 0; i < 200; i++) {
      const shuffled = [...letters, ...letters.slice(0, i % 7)].sort(() => ((seed = (seed * 16807) % 2147483647) % 2 ? 1 : -1))
      const got = view(shuffled)
      expect([got.status, got.needs, got.peer]).toEqual([want.status, want.needs, want.peer])
    }
  })
  it('sees the same when all was written in one second', () => {
    const letters = buyerPath().map(([l]) => ({ ...l, at: t0 + 5 }))
    letters.forEach((_, i) => expect(view(letters.slice(0, i + 1).reverse()).status).toBe(buyerPath()[i]![1]))
  })
  it('is told when a release came without the word before it', () => expect(view([letter('released')]).status).toBe('settled'))
})

describe('a seller who makes a sell order', () => {
  const over: Partial<TradeRecord> = { side: 'seller', maker: true, sent: [{ at: t0, action: 'new-order', request: 1 }] }
  const pay = (sats = 10060, invoice = 'lnbcrt1x'): SavedLetter => {
    const o = JSON.parse(order({ status: 'waiting-payment', amount: sats })).order
    return letter('pay-invoice', JSON.stringify({ payment_request: [o, invoice, null] }))
  }
  it('waits for a taker until the order expires', () => {
    expect(view([letter('new-order', order({}))], over)).toMatchObject({ status: 'pending', turn: 'anyone', deadline: t0 + 86400, then: 'expire' })
  })
  it('is back in the book when the taker leaves, and nothing of him stays', () => {
    const v = view([letter('new-order', order({})), pay(), letter('new-order', order({}))], over)
    expect(v).toMatchObject({ status: 'pending' })
    expect([v.invoice, v.locks, v.peer]).toEqual([undefined, undefined, undefined])
  })
  it('follows a take, its end and the next take within one second, if the letters came one by one', () => {
    const at = t0 + 7
    const r = record(over)
    addLetters(r, [letter('new-order', order({}), t0)])
    for (const [action, payload, status] of [
      ['waiting-buyer-invoice', 'null', 'waiting-buyer-invoice'], ['new-order', order({}), 'pending'], ['waiting-buyer-invoice', 'null', 'waiting-buyer-invoice'],
    ] as const) {
      addLetters(r, [letter(action, payload, at)])
      expect(viewTrade(r, at).status).toBe(status)
    }
  })
  it('is not shown an invoice that is not what the message says', () => {
    expect(view([letter('new-order', order({})), pay()], over)).toMatchObject({ status: 'waiting-payment', needs: ['pay-invoice'], locks: 10060, fault: 'unreadable' })
  })
  it('learns of a taker’s reputation from a notice, which asks for nothing', () => {
    const v = view([letter('new-order', order({})), letter('pay-invoice', JSON.stringify({ peer: { pubkey: '', reputation: { rating: 4.5, reviews: 2, operating_days: 9 } } }))], over)
    expect(v).toMatchObject({ status: 'pending', peerRating: { rating: 4.5 } })
    expect(v.timeline.at(-1)!.action).toBe('reputation')
  })
  it('may release once the buyer has sent, also in a dispute', () => {
    const start = [letter('new-order', order({})), pay(), letter('buyer-took-order', order({ status: 'active', ...peers }))]
    expect(view(start, over).can.has('release')).toBe(false)
    const sent = [...start, letter('fiat-sent-ok')]
    expect(view(sent, over)).toMatchObject({ needs: ['release'], turn: 'me', peer: trade.pub })
    const dispute = [...sent, letter('dispute-initiated-by-peer', '{"dispute":["e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8",null]}')]
    expect(view(dispute, over)).toMatchObject({ status: 'dispute', turn: 'solver', disputeBy: 'peer', disputeID: 'e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8' })
    expect(view(dispute, over).can.has('release')).toBe(true)
    const taken = [...dispute, letter('admin-took-dispute', JSON.stringify({ peer: { pubkey: 'bb'.repeat(32), reputation: null } }))]
    expect(view(taken, over)).toMatchObject({ solver: 'bb'.repeat(32), peer: trade.pub })
    expect(view([...taken, letter('admin-canceled')], over).status).toBe('canceled-by-admin')
    expect(view([...taken, letter('admin-settled')], over).status).toBe('success')
  })
})

describe('a buyer who makes a buy order', () => {
  it('is asked for the invoice after the payment, also when all was written in one second', () => {
    const over: Partial<TradeRecord> = { kind: 'buy', maker: true, sent: [] }
    const at = t0 + 5
    const paid = [letter('new-order', order({ kind: 'buy' }), at), letter('waiting-seller-to-pay', 'null', at)]
    expect(view(paid, over).status).toBe('waiting-payment')
    const asked = [letter('add-invoice', order({ kind: 'buy', status: 'waiting-buyer-invoice', amount: 9970 }), at), ...paid]
    expect(view(asked, over)).toMatchObject({ status: 'waiting-buyer-invoice', needs: ['give-invoice'], gets: 9970, then: 'cancel' })
    expect(view([letter('hold-invoice-payment-accepted', order({ kind: 'buy', status: 'active', ...peers }), at), ...asked], over).status).toBe('active')
  })
})

describe('an invoice to lock the sats', () => {
  // From the BOLT 11 specification: 2500 µBTC on mainnet, valid for a minute.
  const coffee = 'lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh'
  const time = 1496314658
  const look = (agreed: number, said = 250_000, at = time + 5, rates?: Map<string, number>): ReturnType<typeof viewTrade> => {
    const r = record({ side: 'seller', kind: 'buy', createdAt: time, info: { ...info, networks: 'mainnet' }, terms: { amount: agreed, currency: 'EUR', fiat: 100, min: 0, max: 0, methods: 'x', premium: 0 } })
    const o = (JSON.parse(order({ kind: 'buy', status: 'waiting-payment', amount: said, fiat_amount: 100 })) as { order: object }).order
    addLetters(r, [letter('pay-invoice', JSON.stringify({ payment_request: [o, coffee, null] }), time + 1)])
    return viewTrade(r, at, rates)
  }
  it('is shown when it is what was agreed, with the fee', () => {
    const v = look(248_509)
    expect(v).toMatchObject({ status: 'waiting-payment', locks: 250_000, invoice: coffee })
    expect(v.fault).toBeUndefined()
  })
  it('is not, when it asks for more than was agreed, or for something else than the message says', () => {
    expect(look(240_000).fault).toBe('too-much')
    expect(look(248_509, 249_999).fault).toBe('not-as-said')
    expect(look(248_509, 250_000, time + 60).fault).toBe('expired')
  })
  it('is not, when the market price behind it is far from the one that the server publishes', () => {
    expect(look(0, 250_000, time + 5, new Map([['EUR', 40_000]])).fault).toBeUndefined() // 250 000 sats, and 5 % of room
    expect(look(0, 250_000, time + 5, new Map([['EUR', 50_000]])).fault).toBe('too-much') // 200 000 sats
  })
})

describe('what goes wrong', () => {
  it('a refused take is over, with its reason', () => {
    const v = view([letter('cant-do', '{"cant_do":"pending_order_exists"}', t0 + 1, 1)])
    expect(v).toMatchObject({ status: 'refused', refusal: { action: 'take-sell', reason: 'pending_order_exists' }, live: false })
  })
  it('a refusal of a later step leaves the trade where it is', () => {
    const [first] = buyerPath()[0]!
    const sent = [{ at: t0, action: 'take-sell', request: 1 }, { at: t0 + 50, action: 'add-invoice', request: 2 }]
    expect(view([first, letter('cant-do', '{"cant_do":"invalid_invoice"}', t0 + 60, 2)], { sent })).toMatchObject({ status: 'waiting-buyer-invoice', needs: ['give-invoice'], refusal: { reason: 'invalid_invoice' } })
  })
  it('a failed payout asks for another invoice, and nothing un-settles', () => {
    const path = buyerPath().slice(0, 5).map(([l]) => l)
    const v = view([...path, letter('payment-failed', '{"payment_failed":{"payment_attempts":2,"payment_retries_interval":60}}')])
    expect(v).toMatchObject({ status: 'settled', needs: ['replace-invoice'], payoutFailed: { attempts: 2, interval: 60 } })
    expect(view([...path, letter('add-invoice', order({ status: 'settled-hold-invoice' }))])).toMatchObject({ status: 'settled', needs: ['replace-invoice'] })
    expect(view([...path, letter('invoice-updated'), letter('fiat-sent-ok')])).toMatchObject({ status: 'settled', needs: [] })
  })
  it('an unknown action is kept and changes nothing, unless it tells a status', () => {
    const path = buyerPath().slice(0, 3).map(([l]) => l)
    expect(view([...path, letter('trade-blessed')])).toMatchObject({ status: 'active' })
    expect(view([...path, letter('trade-blessed')]).timeline.at(-1)!.action).toBe('trade-blessed')
    expect(view([...path, letter('trade-moved', order({ status: 'fiat-sent' }))])).toMatchObject({ status: 'fiat-sent' })
  })
  it('nonsense among the letters does no harm', () => {
    const junk = { event: 'f'.repeat(64), at: t0 + 1, raw: '{"order":7}' }
    expect(view([junk, ...buyerPath().slice(0, 3).map(([l]) => l)]).status).toBe('active')
  })
  it('a request without an answer can be said again', () => {
    const path = buyerPath().slice(0, 3).map(([l]) => l)
    const at = path.at(-1)!.at + 5
    const sent = [{ at: t0, action: 'take-sell', request: 1 }, { at, action: 'fiat-sent', request: 2 }]
    expect(view(path, { sent })).toMatchObject({ unanswered: { action: 'fiat-sent' } })
    expect(view([...path, letter('fiat-sent-ok', 'null', at - 300, 2)], { sent }).unanswered).toBeUndefined()
  })
})

describe('a cooperative cancel', () => {
  const path = buyerPath().slice(0, 3).map(([l]) => l)
  it('asked by the peer wants an answer', () => expect(view([...path, letter('cooperative-cancel-initiated-by-peer')]).needs).toEqual(['send-fiat', 'answer-cancel']))
  it('asked by us waits', () => expect(view([...path, letter('cooperative-cancel-initiated-by-you')]).can.has('cooperative-cancel')).toBe(false))
  it('ends the trade when both want it', () => expect(isFinal(view([...path, letter('cooperative-cancel-accepted')]).status)).toBe(true))
})

it('a restored trade stands where the server said, and goes on from there', () => {
  const restored = { status: 'fiat-sent', at: t0 + 5000, peer: seller.pub }
  expect(view([], { restored, sent: [] })).toMatchObject({ status: 'fiat-sent', peer: seller.pub })
  expect(view(buyerPath().slice(0, 2).map(([l]) => l), { restored, sent: [] }).status).toBe('fiat-sent')
  expect(view([letter('released', 'null', t0 + 6000)], { restored, sent: [] }).status).toBe('settled')
})

it('the announced rest of a range order is not a trade until the server says so', () => {
  const over: Partial<TradeRecord> = { parent: 3, maker: true, side: 'seller', sent: [], range: true }
  expect(view([], over).status).toBe('unknown')
  expect(view([letter('new-order', order({ min_amount: 5, max_amount: 8, fiat_amount: 0 }))], over)).toMatchObject({ status: 'pending', terms: { max: 8 } })
})
