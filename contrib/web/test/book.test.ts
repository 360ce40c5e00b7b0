import { describe, expect, it } from 'vitest'
import { readInfo, readOffer, readRates, readRatingEvent, takeable } from '../src/lib/book'
import { replaces, sign, type Event } from '../src/lib/event'
import { effectivePrice, fees, judgeLock, judgePayout, quote, readDestination, readInvoice } from '../src/lib/money'
import { node, O1 } from './golden'

const at = 1767225600
const make = (kind: number, tags: string[][], content = ''): Event => sign({ kind, created_at: at, tags, content }, node)
const base = [['d', O1], ['k', 'sell'], ['f', 'EUR'], ['s', 'pending'], ['amt', '0'], ['fa', '10', '500'], ['pm', 'SEPA', 'Pago Móvil'], ['premium', '-2'], ['expires_at', String(at + 60)]]
const without = (...names: string[]): string[][] => base.filter((t) => !names.includes(t[0]!))

describe('an order event', () => {
  it('is read with its range, methods and both forms of rating', () => {
    const o = readOffer(make(38383, [...base, ['rating', '["rating",{"days":9,"total_rating":4.5,"total_reviews":3}]']]))
    expect(o).toMatchObject({ id: O1, kind: 'sell', min: 10, max: 500, fiat: 0, premium: -2, methods: ['SEPA', 'Pago Móvil'], rating: { score: 4.5, reviews: 3, days: 9 } })
    expect(readOffer(make(38383, [...base, ['rating', '{"days":1,"total_rating":2,"total_reviews":1}']]))!.rating).toEqual({ score: 2, reviews: 1, days: 1 })
  })
  it('is read though it has unknown tags, odd values and a newer status', () => {
    const o = readOffer(make(38383, [...without('amt', 'premium', 's', 'fa'), ['s', 'brewing'], ['amt', '1e3'], ['premium', 'lots'], ['fa', 'x'], ['new', 'tag'], []]))
    expect(o).toMatchObject({ status: 'brewing', amount: 0, premium: 0, fiat: 0, max: 0 })
    expect(readOffer(make(38383, [...base, ['rating', '{"days":'], ['rating', '7']]))!.rating).toBeUndefined()
  })
  it('without an id, a kind, a currency or a status is none', () => {
    for (const name of ['d', 'k', 'f', 's']) expect(readOffer(make(38383, without(name)))).toBeUndefined()
    expect(readOffer(make(1, base))).toBeUndefined()
  })
  it('can be taken while it is pending and its time runs', () => {
    const o = readOffer(make(38383, base))!
    expect([takeable(o, at), takeable(o, at + 60), takeable({ ...o, status: 'in-progress' }, at)]).toEqual([true, false, false])
  })
  it('bounds what a stranger can make us show', () => {
    const o = readOffer(make(38383, [...without('pm', 'f'), ['f', 'E'.repeat(500)], ['pm', ...Array.from({ length: 500 }, () => 'x'.repeat(500))]]))!
    expect(o.currency.length).toBeLessThan(20)
    expect(o.methods.length).toBeLessThanOrEqual(20)
    expect(o.methods[0]!.length).toBeLessThan(70)
  })
})

it('of two versions the newer counts, at equal times the lower id', () => {
  expect(replaces({ created_at: 2, id: 'b' }, { created_at: 1, id: 'a' })).toBe(true)
  expect(replaces({ created_at: 1, id: 'a' }, { created_at: 1, id: 'b' })).toBe(true)
  expect(replaces({ created_at: 1, id: 'b' }, { created_at: 1, id: 'b' })).toBe(false)
})

describe('an info event', () => {
  it('is read', () => {
    const i = readInfo(make(38385, [['d', node.pub], ['fee', '0.006'], ['fee_payer', 'seller'], ['pow', '4'], ['pow_first_contact', '9'], ['protocol_version', '2'], ['fiat_currencies_accepted', 'eur,usd'], ['y', 'mostro', ' Andes ']]))
    expect(i).toMatchObject({ fee: 0.006, feePayer: 'seller', work: 9, way: 2, currencies: ['EUR', 'USD'], name: 'Andes' })
  })
  it('with nothing in it is the oldest server: gift wrap, fee split, no work', () => {
    expect(readInfo(make(38385, [['d', node.pub]]))).toMatchObject({ way: 1, feePayer: 'split', work: 0, fee: 0, waitSeconds: 0, currencies: [] })
  })
  it('of another identifier, or with nonsense, does no harm', () => {
    expect(readInfo(make(38385, [['d', O1]]))).toBeUndefined()
    expect(readInfo(make(38385, [['d', node.pub], ['fee', '-1'], ['pow', '-9'], ['max_order_amount', '9e99']]))).toMatchObject({ fee: 0, work: 0, maxAmount: 0 })
  })
})

it('prices and ratings are read, and nonsense among them left out', () => {
  expect(readRates(make(30078, [['d', 'mostro-rates']], '{"BTC":{"eur":50000,"USD":-1,"X":"7"}}'))).toEqual(new Map([['EUR', 50000]]))
  for (const c of ['', '[]', '{"BTC":7}', 'x']) expect(readRates(make(30078, [['d', 'mostro-rates']], c))).toBeUndefined()
  expect(readRatingEvent(make(38384, [['d', 'k'], ['total_rating', '4.5'], ['total_reviews', '2'], ['days', '8']]))).toMatchObject({ key: 'k', score: 4.5, reviews: 2, days: 8 })
})

describe('money', () => {
  const whole = { fee: 0.006, feePayer: 'seller' as const }
  const split = { fee: 0.006, feePayer: 'split' as const }
  it('counts the fee as servers do', () => {
    expect(fees(10000, whole)).toEqual({ seller: 60, buyer: 0 })
    expect(fees(10000, split)).toEqual({ seller: 30, buyer: 30 })
    expect(fees(501, { fee: 0.01, feePayer: 'split' })).toEqual({ seller: 3, buyer: 3 })
  })
  it('quotes the market price with its premium', () => {
    expect(quote(10, 50000, 0)).toBe(20000)
    expect(quote(10, 50000, 5)).toBe(19000)
    expect(effectivePrice('buyer', 10, 20000, split)).toBeGreaterThan(50000)
    expect(effectivePrice('seller', 10, 20000, whole)).toBeLessThan(50000)
  })
})

// From the BOLT 11 specification: 2500 µBTC on mainnet, one minute; and one of any amount.
const coffee = 'lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh'
const donation = 'lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql'
const time = 1496314658

describe('an invoice', () => {
  it('is read', () => {
    expect(readInvoice('LIGHTNING:' + coffee.toUpperCase())).toMatchObject({ msat: 250_000_000n, expiresAt: time + 60, network: 'mainnet', description: '1 cup coffee' })
    expect(readInvoice(donation)).toMatchObject({ expiresAt: time + 3600 })
    expect(readInvoice(donation)!.msat).toBeUndefined()
    for (const s of ['', 'lnbc1', coffee.slice(0, -1), coffee + 'q', 'lnbc' + 'q'.repeat(5000)]) expect(readInvoice(s)).toBeUndefined()
  })
  const info = { fee: 0.006, feePayer: 'seller' as const, networks: 'mainnet', invoiceWindow: 30 }
  it('that a seller is to lock must be what was said and agreed', () => {
    expect(judgeLock(coffee, 250_000, 250_000, info, time)).toBeUndefined()
    expect(judgeLock(coffee, 249_999, 250_000, info, time)).toBe('not-as-said')
    expect(judgeLock(coffee, 250_000, 248_509, info, time)).toBeUndefined() // 248 509 + 0.6 % is 250 000
    expect(judgeLock(coffee, 250_000, 248_000, info, time)).toBe('too-much')
    expect(judgeLock(coffee, 250_000, 250_000, { ...info, networks: 'regtest' }, time)).toBe('network')
    expect(judgeLock(coffee, 250_000, 250_000, info, time + 60)).toBe('expired')
    expect(judgeLock(donation, 250_000, 250_000, info, time)).toBe('not-as-said')
    expect(judgeLock('lnbc1x', 1, 1, info, time)).toBe('unreadable')
  })
  it('that a buyer gives must be of the right amount and live long enough', () => {
    const i = readInvoice(coffee)!
    expect(judgePayout(i, 250_000, info, time)).toBeUndefined()
    expect(judgePayout(i, 250_001, info, time)).toBe('amount')
    expect(judgePayout(i, 250_000, { ...info, networks: 'testnet' }, time)).toBe('network')
    expect(judgePayout(i, 250_000, info, time + 31)).toBe('soon')
    expect(judgePayout(i, 250_000, info, time + 61)).toBe('expired')
    expect(judgePayout(readInvoice(donation)!, 7, info, time)).toBeUndefined()
  })
})

it('a buyer may be paid by invoice, offer, address, BIP 353 name or LNURL', () => {
  expect(readDestination(` lightning:${coffee}\n`)).toMatchObject({ type: 'bolt11' })
  expect(readDestination('lno1PG+ abc')).toEqual({ type: 'offer', text: 'lno1pgabc' })
  expect(readDestination('₿Ana@Example.com')).toEqual({ type: 'address', text: 'ana@example.com' })
  expect(readDestination('LNURL1DP68')).toEqual({ type: 'lnurl', text: 'lnurl1dp68' })
  expect(readDestination('bitcoin:?lno=lno1abc')).toEqual({ type: 'offer', text: 'lno1abc' })
  for (const s of ['', 'ana', 'a@', '@b.c', 'bitcoin:bc1q', 'https://x.y', '<b>@x.y']) expect(readDestination(s)).toBeUndefined()
})
