import { describe, expect, it } from 'vitest'
import { decode, decodeTolerant, encode, maxMessage, newRequestID } from '../src/lib/message'
import { parseUUID, ShapeError, writeFloat, writeText } from '../src/lib/schema'
import { shared } from './golden'

const golden = shared<{ id: string; case: string; json: string }[]>('golden-messages.json')
const cases = shared<{ refused: { name: string; in: string }[]; accepted: { name: string; in: string; want: string }[] }>('codec-cases.json')

describe('the golden messages, shared with the Go codec', () => {
  it('are all there', () => expect(golden.length).toBeGreaterThanOrEqual(60))
  it.each(golden)('$id $case comes back byte for byte', ({ json }) => {
    expect(encode(decode(json))).toBe(json)
    const t = decodeTolerant(json)
    expect(t.partial).toBe(false)
  })
})

describe('the shared codec cases', () => {
  it.each(cases.refused)('refuses $name', (c) => expect(() => decode(c.in)).toThrow(ShapeError))
  it.each(cases.accepted)('mends $name', (c) => expect(encode(decode(c.in))).toBe(c.want))
  it('refuses deep nesting and great length without falling over', () => {
    expect(() => decode('{"order":{"version":2,"action":"release","x":' + '['.repeat(60000))).toThrow(ShapeError)
    expect(() => decode('{"order":{"version":2,"action":"release","x":"' + 'a'.repeat(maxMessage) + '"}}')).toThrow(ShapeError)
  })
})

it('writes floats as serde_json does', () => {
  const want: [number, string][] = [
    [0, '0.0'], [-0, '-0.0'], [5, '5.0'], [4.25, '4.25'], [0.1, '0.1'], [-1.5, '-1.5'], [1e-5, '0.00001'], [1.25e-6, '1.25e-6'],
    [1e-7, '1e-7'], [1e15, '1000000000000000.0'], [1e16, '1e16'], [1.5e300, '1.5e300'], [NaN, 'null'], [Infinity, 'null'],
  ]
  for (const [f, s] of want) expect(writeFloat(f)).toBe(s)
})

it('escapes only what must be', () => expect(writeText('é/<&>\u2028\u007f\u0001"\\\n')).toBe('"é/<&>\u2028\u007f\\u0001\\"\\\\\\n"'))

it('knows the usual spellings of a UUID, and nothing else', () => {
  const id = '5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11'
  for (const s of [id, id.toUpperCase(), `{${id}}`, `urn:uuid:${id}`, id.replaceAll('-', '')]) expect(parseUUID(s)).toBe(id)
  for (const s of ['', 'x', id + '0', `{${id}`, id.slice(1)]) expect(parseUUID(s)).toBeUndefined()
})

describe('a tolerant reader', () => {
  const body = (rest: string): string => `{"order":{"version":2,${rest}}}`
  it('keeps a message with an unknown action', () => {
    const m = decodeTolerant(body('"action":"trade-blessed","id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","payload":{"blessing":1}'))
    expect(m).toMatchObject({ action: 'trade-blessed', id: '5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11', payload: null, partial: true })
  })
  it('keeps an order with an unknown member and status', () => {
    const m = decodeTolerant(
      body('"action":"new-order","payload":{"order":{"kind":"sell","status":"brewing","amount":7,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x","premium":0,"mood":"good"}}'),
    )
    expect(m.payload).toMatchObject({ order: { status: 'brewing', amount: 7 } })
  })
  it('keeps a refusal with an unknown reason, also in the odd form', () => {
    expect(decodeTolerant('{"cant-do":{"version":1,"action":"cant-do","payload":{"cant_do":"bad_weather"}}}').reason).toBe('bad_weather')
    expect(decodeTolerant('{"cant-do":{"version":1,"action":"cant-do","payload":{"cant_do":{"cant-do":"not_found"}}}}').reason).toBe('not_found')
  })
  it('keeps a message whose other members are of the wrong type', () => {
    expect(decodeTolerant('{"order":{"version":"two","request_id":"7","action":"released"}}')).toMatchObject({ action: 'released', request_id: null })
  })
  it('keeps a message in an unknown wrapper', () => expect(decodeTolerant('{"new":{"action":"released"}}').action).toBe('released'))
  it('keeps request ids beyond 2^53 to the last digit', () => {
    expect(decodeTolerant(body('"request_id":18446744073709551615,"action":"released"')).request_id).toBe(18446744073709551615n)
  })
  it('refuses what is no message', () => {
    for (const s of ['', '[]', '{}', '{"order":null}', '{"order":{"action":""}}', '{"order":{"action":7}}', 'nonsense', '{"a":{},"b":{}}'])
      expect(() => decodeTolerant(s)).toThrow(ShapeError)
  })
  it('is not fooled by names of built-in members', () => {
    expect(() => decode(body('"action":"release","payload":{"constructor":1}'))).toThrow(ShapeError)
    expect(decodeTolerant('{"order":{"__proto__":{"action":"release"},"action":"released"}}').action).toBe('released')
  })
})

it('makes request ids that every client can hold', () => {
  for (let i = 0; i < 100; i++) expect(Number.isSafeInteger(newRequestID())).toBe(true)
})

it('survives any bytes', () => {
  let seed = 7
  const random = (n: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n
  for (let i = 0; i < 3000; i++) {
    const g = golden[random(golden.length)]!.json
    const at = random(g.length)
    const broken = g.slice(0, at) + ['"', '{', ']', ',', '9', 'null', '\\'][random(7)] + g.slice(at + random(3))
    try {
      const once = encode(decode(broken))
      expect(encode(decode(once))).toBe(once)
    } catch (e) {
      expect(e).toBeInstanceOf(ShapeError)
    }
    try {
      decodeTolerant(broken)
    } catch (e) {
      expect(e).toBeInstanceOf(ShapeError)
    }
  }
})
