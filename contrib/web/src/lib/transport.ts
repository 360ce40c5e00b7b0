// The two ways of a message to a Mostro and back: gift wrap (protocol 1, NIP-59 with a seal of another key) and a
// signed direct message with NIP-44 content (protocol 2).

import { v2 as nip44 } from 'nostr-tools/nip44'
import { randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { hash, kinds, readEvent, sign, signDigest, verify, type Draft, type Event } from './event'
import { keyOf, type Key } from './keys'
import { decodeTolerant, encode, type Message, type Received } from './message'
import { parseJSON } from './schema'

export type Way = 1 | 2

export interface Sealing {
  way: Way
  message: Message
  trade: Key
  /** undefined in full privacy */
  identity?: Key | undefined
  /** the Mostro's public key */
  node: string
  at: number
  /** Does proof of work of so many bits on a draft and returns it with its nonce. */
  work?: ((d: Draft & { pubkey: string }) => Promise<Draft>) | undefined
}

/** Seconds that relays should keep a request. */
const directLife = 30 * 86400

const conversation = (k: Key, peer: string): Uint8Array => nip44.utils.getConversationKey(k.secret, peer)

/** Digest that the identity signs over: it binds the identity to the trade key and to the message. */
export const identityDigest = (trade: string, json: string): Uint8Array => hash(`mostro-transport-v2-identity:${trade}:${json}`)

/** The plaintext of a request: the message, and who stands behind it. */
export function tupleFor(s: Sealing): string {
  const json = encode(s.message)
  const own = s.identity ? JSON.stringify(signDigest(hash(json), s.trade)) : 'null'
  if (s.way === 1) return `[${json},${own}]`
  const proof = s.identity ? JSON.stringify([s.identity.pub, signDigest(identityDigest(s.trade.pub, json), s.identity)]) : 'null'
  return `[${json},${own},${proof}]`
}

/** Makes the event that carries a message to the Mostro. */
export async function seal(s: Sealing): Promise<Event> {
  const plain = tupleFor(s)
  if (s.way === 2) {
    const tags = [['p', s.node], ['expiration', String(s.at + directLife)]]
    const draft = { kind: kinds.direct, created_at: s.at, tags, content: nip44.encrypt(plain, conversation(s.trade, s.node)) }
    return sign(s.work ? await s.work({ ...draft, pubkey: s.trade.pub }) : draft, s.trade)
  }
  const author = s.identity ?? s.trade
  const rumor = { kind: kinds.rumor, created_at: s.at, tags: [], content: plain, pubkey: s.trade.pub }
  const sealed = sign(
    { kind: kinds.seal, created_at: tweaked(s.at), tags: [], content: nip44.encrypt(JSON.stringify(withID(rumor)), conversation(author, s.node)) },
    author,
  )
  const oneShot = keyOf(randomSecret())
  const wrap = {
    kind: kinds.wrap, created_at: tweaked(s.at), tags: [['p', s.node]],
    content: nip44.encrypt(JSON.stringify(sealed), conversation(oneShot, s.node)),
  }
  return sign(s.work ? await s.work({ ...wrap, pubkey: oneShot.pub }) : wrap, oneShot)
}

function withID(r: { kind: number; created_at: number; tags: string[][]; content: string; pubkey: string }): object {
  return { id: hexHash(r), pubkey: r.pubkey, created_at: r.created_at, kind: r.kind, tags: r.tags, content: r.content }
}

function hexHash(r: { kind: number; created_at: number; tags: string[][]; content: string; pubkey: string }): string {
  const digest = sha256(utf8ToBytes(JSON.stringify([0, r.pubkey, r.created_at, r.kind, r.tags, r.content])))
  return Array.from(digest, (b) => b.toString(16).padStart(2, '0')).join('')
}

/** Up to two days back (NIP-59). */
function tweaked(at: number): number {
  return at - (crypto.getRandomValues(new Uint32Array(1))[0]! % 172800)
}

export function randomSecret(): Uint8Array {
  return randomBytes(32) // outside the group with a chance of 2^-128
}

/** A message of the Mostro's, with the time at which it was written. */
export interface Letter {
  /** id of the event that brought it */
  event: string
  /** seconds */
  at: number
  /** the message as it came, for the record */
  raw: string
  message: Received
}

/**
 * Opens an event of either transport for a key, if it is the Mostro's. The event's own signature must have been
 * checked. Undefined for what is not ours or not a message: a stranger's letter, junk.
 */
export function open(e: Event, k: Key, node: string): Letter | undefined {
  try {
    const [plain, at] = e.kind === kinds.direct ? openDirect(e, k, node) : e.kind === kinds.wrap ? openWrap(e, k, node) : []
    if (plain === undefined) return undefined
    const raw = firstElement(plain)
    return { event: e.id, at: at!, raw, message: decodeTolerant(raw) }
  } catch {
    return undefined
  }
}

/** NIP-44 allows no payload beyond this; a longer one is not worth the work. */
const maxContent = 90_000

function decrypt(content: string, k: Key, author: string): string {
  if (content.length > maxContent) throw new Error('too long')
  return nip44.decrypt(content, conversation(k, author))
}

function openDirect(e: Event, k: Key, node: string): [string, number] | [] {
  if (e.pubkey !== node) return []
  return [decrypt(e.content, k, node), e.created_at]
}

/** Seal and rumor must both be the Mostro's, and the seal signed. */
function openWrap(e: Event, k: Key, node: string): [string, number] | [] {
  const sealed = readEvent(JSON.parse(decrypt(e.content, k, e.pubkey)))
  if (!sealed || sealed.kind !== kinds.seal || sealed.pubkey !== node || !verify(sealed)) return []
  const rumor = JSON.parse(decrypt(sealed.content, k, node)) as Partial<Event>
  if (rumor.kind !== kinds.rumor || rumor.pubkey !== node || typeof rumor.content !== 'string') return []
  return Number.isSafeInteger(rumor.created_at) ? [rumor.content, rumor.created_at!] : []
}

/** The text of a tuple's first element, exactly as it was written. */
export function firstElement(tuple: string): string {
  const start = tuple.indexOf('[') + 1
  if (start === 0 || tuple.slice(0, start - 1).trim() !== '') throw new Error('no tuple')
  let depth = 0
  let quoted = false
  for (let i = start; i < tuple.length; i++) {
    const c = tuple[i]
    if (quoted) {
      if (c === '\\') i++
      else if (c === '"') quoted = false
    } else if (c === '"') quoted = true
    else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
    if (!quoted && ((c === ',' && depth === 0) || depth < 0)) {
      parseJSON(tuple)
      return tuple.slice(start, i).trim()
    }
  }
  throw new Error('no tuple')
}
