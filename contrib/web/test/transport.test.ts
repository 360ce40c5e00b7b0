import { bytesToHex } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { schnorr } from '@noble/curves/secp256k1.js'
import { v2 as nip44 } from 'nostr-tools/nip44'
import { describe, expect, it } from 'vitest'
import { eventID, hash, kinds, readEvent, sign, verify, workOf, type Event } from '../src/lib/event'
import { Keyring, newMnemonic, readMnemonic } from '../src/lib/keys'
import { decode, encode } from '../src/lib/message'
import { jobFor, mineHere } from '../src/lib/pow'
import { firstElement, identityDigest, open, seal, tupleFor } from '../src/lib/transport'
import { identity, node, O1, oneShot, shared, trade, words } from './golden'

const J = `{"order":{"version":2,"request_id":7005,"trade_index":4,"id":"${O1}","action":"take-sell","payload":null}}`
const at = 1767225600
const vectors = new Map(shared<{ name: string; json: string }[]>('envelopes.json').map((v) => [v.name, JSON.parse(v.json) as Event]))
const aux = new Uint8Array(32)

describe('keys', () => {
  it('are derived as every client does', () => {
    const ring = new Keyring(words)
    expect(ring.identity.pub).toBe('b4bf6548df043786641d4b63e748eda4b55fce21beae991512d23487c7bd8950')
    expect([1, 2, 3, 4, 5].map((i) => ring.key(i).pub)).toEqual([
      '1c71f0a29c9d14198781f36897c6d6c08e2c4f905ba69fc5f8e67d375d705a8a', '5011d0e7a57ae27627ab76962537072c6809ef3b9e24c2e3db4e672c61624eef',
      '7c4e2fb552dee70caa9f5e7d5d81eb4b14bc2d4369bd473a71774c1072290abe', 'e3ea966943deb82f124d51015a2576e4361f1836c5ec3889ba50dc9042f35e6a',
      '088bb3266bde36a0d7080b8ae655e86f5c12ac13ec59fa12754f277cdc2c970b',
    ])
    expect(bytesToHex(ring.key(5).secret)).toBe('542fe37421c128dd421289d45f498cd99a06701706f33a1a74926e6d2d32182d')
  })
  it('have an index within the protocol’s bounds', () => {
    const ring = new Keyring(words)
    for (const i of [-1, 0.5, 2 ** 31, NaN]) expect(() => ring.key(i)).toThrow(RangeError)
  })
  it('come from twelve good words, however they are spaced', () => {
    expect(readMnemonic(`  ${words.toUpperCase().replaceAll(' ', '\n ')} `)).toBe(words)
    expect(readMnemonic(words.replace('leader', 'monkey'))).toBeUndefined()
    expect(newMnemonic().split(' ')).toHaveLength(12)
  })
})

describe('the vectors, shared with the Go codec', () => {
  it('have the digests and signatures of the reference', () => {
    expect(bytesToHex(hash(J))).toBe('59f62cfcdd35582b233730e2789a32127039bf1a2fa07c6ff044ddc59b2098ca')
    expect(bytesToHex(schnorr.sign(hash(J), trade.secret, aux))).toMatch(/^141ce7924104e7ad/)
    const d = identityDigest(trade.pub, J)
    expect(bytesToHex(d)).toBe('9d6e1e41ee29c4506a97ac2218b2abc9353a92ccfe7ad2d1aa3ffbfae3ba538e')
    expect(bytesToHex(schnorr.sign(d, identity.secret, aux))).toMatch(/^f39930054f1a9363/)
    expect(bytesToHex(nip44.utils.getConversationKey(trade.secret, node.pub))).toBe('c74164797a85a91a5a425e7f5bee89f19c2b140c23dd2f392b00427713569e34')
  })
  it('have the bytes of the direct event', () => {
    const own = bytesToHex(schnorr.sign(hash(J), trade.secret, aux))
    const proof = bytesToHex(schnorr.sign(identityDigest(trade.pub, J), identity.secret, aux))
    const plain = `[${J},"${own}",["${identity.pub}","${proof}"]]`
    expect(plain.length).toBe(470)
    expect(bytesToHex(sha256(utf8ToBytes(plain)))).toBe('3881d8a732912b8d879a621990b4fb49712f55ada8b8831ac6b77cd4651ddf32')
    const want = vectors.get('direct')!
    const content = nip44.encrypt(plain, nip44.utils.getConversationKey(trade.secret, node.pub), sha256(utf8ToBytes('n1')))
    expect(content).toBe(want.content)
    expect(eventID({ ...want, content })).toBe(want.id)
    expect(verify(want)).toBe(true)
  })
  it('unwrap by hand, though seal and rumor are of two keys', () => {
    const wrap = vectors.get('wrap')!
    expect(wrap.pubkey).toBe(oneShot.pub)
    expect(verify(wrap)).toBe(true)
    const sealed = readEvent(JSON.parse(nip44.decrypt(wrap.content, nip44.utils.getConversationKey(node.secret, wrap.pubkey))))!
    expect(sealed).toEqual(vectors.get('seal'))
    expect(verify(sealed)).toBe(true)
    const rumor = JSON.parse(nip44.decrypt(sealed.content, nip44.utils.getConversationKey(node.secret, sealed.pubkey))) as Event
    expect(rumor).toEqual(vectors.get('rumor'))
    expect(rumor.pubkey).not.toBe(sealed.pubkey)
  })
  it('give the full-privacy tuple', () => {
    const message = decode(J.replace('"trade_index":4', '"trade_index":null'))
    expect(tupleFor({ way: 2, message, trade, node: node.pub, at })).toBe(`[${encode(message)},null,null]`)
    expect(tupleFor({ way: 1, message, trade, node: node.pub, at })).toBe(`[${encode(message)},null]`)
  })
})

/** A reply as a server sends it. */
async function reply(way: 1 | 2, json: string, from = node): Promise<Event> {
  return seal({ way, message: decode(json), trade: from, node: trade.pub, at })
}

describe.each([1, 2] as const)('a letter by transport %i', (way) => {
  const json = `{"order":{"version":${way},"request_id":null,"trade_index":null,"id":"${O1}","action":"released","payload":null}}`
  it('opens, with its text and time', async () => {
    const e = await reply(way, json)
    expect(verify(e)).toBe(true)
    expect(open(e, trade, node.pub)).toMatchObject({ at, raw: json, event: e.id, message: { action: 'released', id: O1 } })
  })
  it('is nobody else’s to open', async () => expect(open(await reply(way, json), identity, node.pub)).toBeUndefined())
  it('is not taken from a stranger', async () => expect(open(await reply(way, json, oneShot), trade, node.pub)).toBeUndefined())
  it('carries the work that was asked for', async () => {
    const e = await seal({
      way, message: decode(json), trade, node: node.pub, at,
      work: async (d) => ({ ...d, tags: [...d.tags, ['nonce', String(await mineHere(jobFor(d, 8))), '8']] }),
    })
    expect(workOf(e.id)).toBeGreaterThanOrEqual(8)
    expect(verify(e)).toBe(true)
  })
})

describe('junk', () => {
  it('is passed over', () => {
    const base = { created_at: at, tags: [['p', trade.pub]] }
    for (const content of ['', 'x', 'A'.repeat(200), 'A'.repeat(200_000)])
      for (const kind of [kinds.direct, kinds.wrap, 1]) expect(open(sign({ ...base, kind, content }, node), trade, node.pub)).toBeUndefined()
    const tuple = (s: string): Event => sign({ ...base, kind: kinds.direct, content: nip44.encrypt(s, nip44.utils.getConversationKey(node.secret, trade.pub)) }, node)
    for (const s of ['[]', '{}', 'null', '[1,null,null]', '["a', '[{"order":{}},null,null]']) expect(open(tuple(s), trade, node.pub)).toBeUndefined()
  })
  it('of the wrong shape is no event', () => {
    const good = sign({ kind: 1, created_at: at, tags: [], content: '' }, trade)
    expect(readEvent(good)).toEqual(good)
    for (const [k, v] of [['id', 'x'], ['pubkey', 7], ['created_at', 1.5], ['kind', '1'], ['tags', [['a', 1]]], ['tags', null], ['content', {}], ['sig', '']])
      expect(readEvent({ ...good, [k as string]: v })).toBeUndefined()
    expect(verify({ ...good, content: 'x' })).toBe(false)
    expect(verify({ ...good, sig: '0'.repeat(128) })).toBe(false)
  })
})

it('cuts the message out of its tuple as it was written', () => {
  expect(firstElement('[ {"a":"]},\\"","b":[1,{}]} , null]')).toBe('{"a":"]},\\"","b":[1,{}]}')
  expect(firstElement('[{"a":1}]')).toBe('{"a":1}')
  expect(() => firstElement('{"a":1}')).toThrow()
})
