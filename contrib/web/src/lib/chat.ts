// Chat between the two parties, and with a solver, which never passes through the Mostro. The current format is a
// kind 14 event under two keys that both sides derive; the older one a kind 1059 wrap, which we read and do not write.

import { v2 as nip44 } from 'nostr-tools/nip44'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { clockSlack, kinds, readEvent, sign, verify, type Event } from './event'
import { keyOf, type Key } from './keys'

export interface Conversation {
  me: Key
  peer: string
  /** x-coordinate of the shared point; opens attachments and the old format */
  shared: Uint8Array
  /** encrypts */
  conv: Key
  /** signs; its public key is where the chat is found */
  sign: Key
}

export function conversationWith(me: Key, peer: string): Conversation {
  const shared = secp256k1.getSharedSecret(me.secret, hexToBytes('02' + peer)).slice(1)
  const prk = extract(sha256, shared, new Uint8Array(32))
  return { me, peer, shared, conv: derive(prk, 'mostro:chat:conv:v1'), sign: derive(prk, 'mostro:chat:sign:v1') }
}

function derive(prk: Uint8Array, info: string): Key {
  const base = utf8ToBytes(info)
  for (let i = 0; ; i++) {
    const secret = expand(sha256, prk, i === 0 ? base : concatBytes(base, new Uint8Array([i])), 32)
    if (secp256k1.utils.isValidSecretKey(secret)) return keyOf(secret)
  }
}

export interface ChatMessage {
  /** id of the inner event, the same in both formats */
  id: string
  at: number
  from: string
  text: string
}

const selfKey = (c: Conversation): Uint8Array => nip44.utils.getConversationKey(c.conv.secret, c.conv.pub)

/** Longest text that one message carries; relays take it with room to spare. */
export const maxText = 3000

export function writeChat(c: Conversation, text: string, at: number): { event: Event; message: ChatMessage } {
  const inner = sign({ kind: kinds.rumor, created_at: at, tags: [], content: text }, c.me)
  const event = sign(
    { kind: kinds.direct, created_at: at, tags: [['p', c.conv.pub]], content: nip44.encrypt(JSON.stringify(inner), selfKey(c)) },
    c.sign,
  )
  return { event, message: { id: inner.id, at, from: c.me.pub, text } }
}

const maxContent = 65536
const slack = 60

/** Reads a chat event of either format; undefined if it is not of this conversation. `at` is this device's time. */
export function readChat(c: Conversation, e: Event, at: number): ChatMessage | undefined {
  try {
    if (e.content.length > maxContent) return undefined
    if (e.kind === kinds.direct) return readCurrent(c, e, at)
    if (e.kind === kinds.wrap) return readOld(c, e)
  } catch {
    /* junk */
  }
  return undefined
}

function readCurrent(c: Conversation, e: Event, at: number): ChatMessage | undefined {
  const to = e.tags.filter((t) => t[0] === 'p')
  if (e.pubkey !== c.sign.pub || to.length !== 1 || to[0]![1] !== c.conv.pub || e.created_at > at + slack) return undefined
  if (!verify(e)) return undefined
  const m = inner(c, nip44.decrypt(e.content, selfKey(c)))
  return m && Math.abs(m.at - e.created_at) <= slack ? m : undefined
}

function readOld(c: Conversation, e: Event): ChatMessage | undefined {
  const address = bytesToHex(schnorr.getPublicKey(c.shared))
  if (!e.tags.some((t) => t[0] === 'p' && t[1] === address) || !verify(e)) return undefined
  return inner(c, nip44.decrypt(e.content, nip44.utils.getConversationKey(c.shared, e.pubkey)))
}

/** The event inside is signed by one of the two. */
function inner(c: Conversation, json: string): ChatMessage | undefined {
  const e = readEvent(JSON.parse(json))
  if (!e || e.kind !== kinds.rumor || (e.pubkey !== c.me.pub && e.pubkey !== c.peer) || !verify(e)) return undefined
  return { id: e.id, at: e.created_at, from: e.pubkey, text: e.content }
}

/** What to ask relays for, so that both formats come. */
export function chatFilters(list: Conversation[], since: number): Record<string, unknown>[] {
  if (list.length === 0) return []
  return [
    { kinds: [kinds.direct], authors: list.map((c) => c.sign.pub), since: since - clockSlack },
    { kinds: [kinds.wrap], '#p': list.map((c) => bytesToHex(schnorr.getPublicKey(c.shared))), since: since - 172_800 - clockSlack },
  ]
}
