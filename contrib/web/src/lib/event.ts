// Nostr events (NIP-01): made, checked, read with care.

import { schnorr } from '@noble/curves/secp256k1.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Key } from './keys'

export interface Event {
  id: string
  pubkey: string
  created_at: number
  kind: number
  tags: string[][]
  content: string
  sig: string
}

export type Draft = Pick<Event, 'created_at' | 'kind' | 'tags' | 'content'>

export const kinds = {
  rumor: 1, seal: 13, direct: 14, wrap: 1059, order: 38383, rating: 38384, info: 38385, dispute: 38386, rates: 30078,
  relayList: 10002, profile: 0,
} as const

export const hash = (s: string): Uint8Array => sha256(utf8ToBytes(s))

export function eventID(e: Draft & { pubkey: string }): string {
  return bytesToHex(hash(JSON.stringify([0, e.pubkey, e.created_at, e.kind, e.tags, e.content])))
}

export function sign(d: Draft, k: Key): Event {
  const e = { ...d, pubkey: k.pub }
  const id = eventID(e)
  return { id, pubkey: k.pub, created_at: d.created_at, kind: d.kind, tags: d.tags, content: d.content, sig: signDigest(hexToBytes(id), k) }
}

export const signDigest = (digest: Uint8Array, k: Key): string => bytesToHex(schnorr.sign(digest, k.secret))

export function verifyDigest(digest: Uint8Array, pub: string, sig: string): boolean {
  try {
    return schnorr.verify(hexToBytes(sig), digest, hexToBytes(pub))
  } catch {
    return false
  }
}

/** Whether id and signature are right. About a millisecond. */
export const verify = (e: Event): boolean => eventID(e) === e.id && verifyDigest(hexToBytes(e.id), e.pubkey, e.sig)

const hex64 = /^[0-9a-f]{64}$/
const hex128 = /^[0-9a-f]{128}$/
export const isPubKey = (s: unknown): s is string => typeof s === 'string' && hex64.test(s)

/** An event from the wire with every member of its right type, or undefined. Says nothing of the signature. */
export function readEvent(v: unknown): Event | undefined {
  if (typeof v !== 'object' || v === null) return undefined
  const e = v as Record<string, unknown>
  const time = e.created_at
  if (typeof e.id !== 'string' || !hex64.test(e.id) || !isPubKey(e.pubkey)) return undefined
  if (typeof e.sig !== 'string' || !hex128.test(e.sig) || typeof e.content !== 'string') return undefined
  if (!Number.isSafeInteger(time) || (time as number) < 0 || !Number.isInteger(e.kind) || !Array.isArray(e.tags)) return undefined
  if (!e.tags.every((t) => Array.isArray(t) && t.every((x) => typeof x === 'string'))) return undefined
  return { id: e.id, pubkey: e.pubkey, created_at: time as number, kind: e.kind as number, tags: e.tags, content: e.content, sig: e.sig }
}

/** The first value of a tag. */
export const tag = (e: { tags: string[][] }, name: string): string | undefined => e.tags.find((t) => t[0] === name)?.[1]

/** Leading zero bits of an event id (NIP-13). */
export function workOf(id: string): number {
  let bits = 0
  for (const c of id) {
    const n = parseInt(c, 16)
    if (n !== 0) return bits + Math.clz32(n) - 28
    bits += 4
  }
  return bits
}

/** What a relay keeps of two versions of an addressable event: the newer, at equal times the lower id (NIP-01). */
export const replaces = (a: { created_at: number; id: string }, b: { created_at: number; id: string }): boolean =>
  a.created_at !== b.created_at ? a.created_at > b.created_at : a.id < b.id

/** How wrong the clock of a device may be before it misses what relays have, seconds. */
export const clockSlack = 3 * 3600

export const now = (): number => Math.floor(Date.now() / 1000)
