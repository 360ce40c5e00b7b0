// Proof of work on an event's id (NIP-13), in slices so that a caller on the main thread stays alive.

import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'

export interface Job {
  /** The event's serialisation before and after the nonce's digits. */
  head: string
  tail: string
  bits: number
}

const mark = '\u0000nonce\u0000'

/** Cuts the serialisation of an event at the place of its nonce. */
export function jobFor(e: { pubkey: string; created_at: number; kind: number; tags: string[][]; content: string }, bits: number): Job {
  const tags = [...e.tags, ['nonce', mark, String(bits)]]
  const [head, tail] = JSON.stringify([0, e.pubkey, e.created_at, e.kind, tags, e.content]).split(JSON.stringify(mark).slice(1, -1))
  return { head: head!, tail: tail!, bits }
}

/** Tries nonces from one on, at most so many. Returns the one that does, or undefined. */
export function search(job: Job, from: number, count: number): number | undefined {
  const head = utf8ToBytes(job.head)
  const tail = utf8ToBytes(job.tail)
  const start = sha256.create().update(head)
  for (let n = from; n < from + count; n++) {
    const digest = start.clone().update(utf8ToBytes(String(n))).update(tail).digest()
    if (zeroBits(digest) >= job.bits) return n
  }
  return undefined
}

function zeroBits(b: Uint8Array): number {
  let bits = 0
  for (const byte of b) {
    if (byte !== 0) return bits + Math.clz32(byte) - 24
    bits += 8
  }
  return bits
}

/** Does the work on this thread, a slice at a time. */
export async function mineHere(job: Job, signal?: AbortSignal): Promise<number> {
  for (let from = 0; ; from += 2000) {
    signal?.throwIfAborted()
    const n = search(job, from, 2000)
    if (n !== undefined) return n
    await new Promise((r) => setTimeout(r))
  }
}
