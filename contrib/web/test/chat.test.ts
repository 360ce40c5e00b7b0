import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { schnorr } from '@noble/curves/secp256k1.js'
import { v2 as nip44 } from 'nostr-tools/nip44'
import { describe, expect, it } from 'vitest'
import { decryptBlob, describe as describeFile, encryptBlob, readAttachment, sniff } from '../src/lib/attachment'
import { chatFilters, conversationWith, readChat, writeChat } from '../src/lib/chat'
import { kinds, sign, type Event } from '../src/lib/event'
import { keyOf } from '../src/lib/keys'
import { identity, named, node, oneShot, seller, trade } from './golden'

const at = 1767225600
const buyer = conversationWith(trade, seller.pub)
const other = conversationWith(seller, trade.pub)

describe('the keys of a conversation', () => {
  it('are the same on both sides, and those of the vectors', () => {
    expect(bytesToHex(buyer.shared)).toBe('1c295b8d3eb104503d633c395c35b93fd0788d3ab4ff3137ad45b583eb1b5a67')
    expect(buyer.conv.pub).toBe('d11eef901b567c0798ab14efe52b71b4d7397de6aad8b80476c3b108733ffb26')
    expect(buyer.sign.pub).toBe('c89d21dec8533b3488d471839de5b8fb2386ace175bd9bdb73964e88747cbb1b')
    expect(other.conv.pub).toBe(buyer.conv.pub)
    expect(other.sign.pub).toBe(buyer.sign.pub)
  })
  it('are those that the documents publish', () => {
    const a = keyOf(hexToBytes('548f68890c49fa42f104c60352395e60ff030b0b407e955f1eed1400d6c0347a'))
    const b = keyOf(hexToBytes('f258e73f07386d37133718b6127f873dd7c391b8f43b331ff8254034a13d2943'))
    const c = conversationWith(a, b.pub)
    expect(bytesToHex(c.shared)).toBe('def6633a53d07d1e829484c4d4bdbbeed2f4b14c21743e63871c174338e39475')
    expect(c.conv.pub).toBe('bceb1cd2a8e98ee9729122a1693edcc39c3ace04582ff96a26705c5e4078a6f2')
    expect(c.sign.pub).toBe('1dba04571059183f76b148119cfa6f8004dad30cb4e810180a6df17386a7f0b4')
  })
})

describe('a chat line', () => {
  const vector: Event = {
    id: '799488b9c7e3ee703fe4efe2ab62e795dbd131c334aff66702ff1f0c02e6b9e9', pubkey: 'c89d21dec8533b3488d471839de5b8fb2386ace175bd9bdb73964e88747cbb1b',
    created_at: at, kind: 14, tags: [['p', 'd11eef901b567c0798ab14efe52b71b4d7397de6aad8b80476c3b108733ffb26']],
    content: 'AohFCwguxN8v3M06YmxuSJsx74y/FRvVQ6z26IkP+h9JfTxcE2AU3Qsf9fke1sauVt0g5wvwWrVUHJA56cX2QCYtdF1R12jQ0d1AzFyfOTpHLje64GxaJGSiF/HIXJgh2dHPkhGRauEAFUEDHsCEkgLKfzotIX+S2mytCPqNhFCS7KcMX+gckQSyjFJRMbfKexWywfGqiHK+Qj5BDW5fJuGRhcL9Ur33KClCPaAEPfBNB+hVFCenmoHLAZueg5k1qcTDbqZNQ1RvffP4+yU08WC73CNft07EWec+Ty7H2QQo7r0T6b4VjHRc5WLyHkINOSJ8T2Fv1fqrc5wI7sOuKQ6tP/khMYM3rtvDU+lcdS7uN1ZF5Y6zO6JHOheR7ut3UoUHEXbdHyW6PrsomEKp6llO8E98NdzvOMxx2mwU+VcL2qQcFjw8Lf5NAYxx2XcizuiEDOxHd7Ss7U07v/OY9H8hqg8cUST1K4fzNr8qXNz3oH8yR7m81sOScFyeCONgLwEjp51WRTi9wS6W6wHONt8gG60+8XHSyHmNTiMQKuNbYVyGDX/WRRMZvz8xhyFIkgfB8av9TkQCaNomkwq5E5VhYA==',
    sig: '3067c9a3ef22cddb69c89bc425ff2aa13591b57b4cec7974204a60da5b076254754e10f2e106e2684193fb6ec94dd4dc5fbb24fff6663883415d299c0995df51',
  }
  it('of the vectors is read', () => {
    expect(readChat(other, vector, at)).toEqual({ id: 'eb0b8a8c161fdff686c16ab88566ffb48c5485c43336df34b0dcc4baa68ec178', at, from: trade.pub, text: 'hola' })
  })
  it('goes from one to the other', () => {
    const { event, message } = writeChat(buyer, '¿listo? <b>', at)
    expect(readChat(other, event, at)).toEqual(message)
    expect(readChat(buyer, event, at)).toEqual(message)
  })
  it('of the older format is read', () => {
    const inner = sign({ kind: 1, created_at: at, tags: [], content: 'old' }, seller)
    const to = keyOf(buyer.shared)
    const content = nip44.encrypt(JSON.stringify(inner), nip44.utils.getConversationKey(oneShot.secret, to.pub))
    const e = sign({ kind: kinds.wrap, created_at: at - 90000, tags: [['p', to.pub]], content }, oneShot)
    expect(readChat(buyer, e, at)).toEqual({ id: inner.id, at, from: seller.pub, text: 'old' })
  })
  it('is not taken from the future, from a third person, to another address, or altered', () => {
    const { event } = writeChat(buyer, 'x', at + 61)
    expect(readChat(other, event, at)).toBeUndefined()
    const good = writeChat(buyer, 'x', at).event
    expect(readChat(conversationWith(identity, seller.pub), good, at)).toBeUndefined()
    expect(readChat(other, sign({ ...good, tags: [['p', node.pub]] }, buyer.sign), at)).toBeUndefined()
    expect(readChat(other, { ...good, sig: '0'.repeat(128) }, at)).toBeUndefined()
    const foreign = sign({ kind: 1, created_at: at, tags: [], content: 'x' }, node)
    const self = nip44.utils.getConversationKey(buyer.conv.secret, buyer.conv.pub)
    const forged = sign({ kind: 14, created_at: at, tags: [['p', buyer.conv.pub]], content: nip44.encrypt(JSON.stringify(foreign), self) }, buyer.sign)
    expect(readChat(other, forged, at)).toBeUndefined()
  })
  it('is asked for by its author, and in the older format by its address', () => {
    const [now, old] = chatFilters([buyer], at)
    expect(now).toMatchObject({ kinds: [14], authors: [buyer.sign.pub] })
    expect(old).toMatchObject({ kinds: [1059], '#p': ['73c622024765d575f6ef0b46dcbeb513497538fd39be36175bc3358039347952'] })
    expect(bytesToHex(schnorr.getPublicKey(buyer.shared))).toBe('73c622024765d575f6ef0b46dcbeb513497538fd39be36175bc3358039347952')
    expect(chatFilters([], at)).toEqual([])
  })
})

describe('an attachment', () => {
  const nonce = hexToBytes('000102030405060708090a0b')
  it('has the bytes of the vector', () => {
    const blob = encryptBlob(utf8ToBytes('hello'), buyer.shared, nonce)
    expect(bytesToHex(blob)).toBe('000102030405060708090a0bb330786439530581e7d078ff26cd8446d6f0bb3e0c')
    expect(bytesToHex(sha256(blob))).toBe('25c973d9886b8c1d64bb68ea4a53b1fc1dd50b019d7b8be68c52d3fd36bb954b')
    expect(new TextDecoder().decode(decryptBlob(blob, other.shared))).toBe('hello')
    expect(() => decryptBlob(blob, named('another'))).toThrow()
  })
  it('is named in a line that every client reads', () => {
    const blob = encryptBlob(new Uint8Array(5), buyer.shared, nonce)
    const text = describeFile(blob, 'https://b.example/ab', { mime: 'image/png', name: 'a.png', size: 5, width: 2, height: 3 })
    expect(JSON.parse(text)).toEqual({
      type: 'image_encrypted', blossom_url: 'https://b.example/ab', nonce: '000102030405060708090a0b', mime_type: 'image/png', original_size: 5,
      width: 2, height: 3, filename: 'a.png', encrypted_size: 33,
    })
    expect(readAttachment(text)).toEqual({ url: 'https://b.example/ab', mime: 'image/png', name: 'a.png', size: 5, width: 2, height: 3 })
  })
  it('is fetched over https alone', () => {
    const at = (blossom_url: string): unknown => readAttachment(JSON.stringify({ type: 'file_encrypted', blossom_url }))
    expect(at('blossom://b.example/x')).toMatchObject({ url: 'https://b.example/x' })
    for (const u of ['http://b.example/x', 'javascript:alert(1)', 'data:,x', 'https://a:b@c.example/', 'x']) expect(at(u)).toBeUndefined()
    for (const s of ['hola', '{', '{"type":"text"}', '{"type":"file_encrypted"}']) expect(readAttachment(s)).toBeUndefined()
  })
  it('is known by its first bytes, and never as a page or a script', () => {
    expect(sniff(hexToBytes('89504e470d0a1a0a'))).toBe('image/png')
    expect(sniff(utf8ToBytes('<svg onload=alert(1)>'))).toBe('application/octet-stream')
    expect(sniff(new Uint8Array(0))).toBe('application/octet-stream')
  })
})
