// Encrypted files in a chat: ChaCha20-Poly1305 under the conversation's shared secret, kept on a Blossom server, named
// in a chat message that is JSON.

import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { base64 } from '@scure/base'
import { now, sign } from './event'
import { keyOf } from './keys'
import { randomSecret } from './transport'
import { clip } from './book'

export interface Attachment {
  url: string
  mime: string
  name: string
  size: number
  width?: number
  height?: number
  /** base64 key that one client puts in; without it the shared secret opens the file */
  key?: string
}

export const maxFile = 25 * 2 ** 20

export function encryptBlob(data: Uint8Array, shared: Uint8Array, nonce = randomBytes(12)): Uint8Array {
  return concatBytes(nonce, chacha20poly1305(shared, nonce).encrypt(data))
}

/** Throws if the blob was not encrypted under this key. */
export function decryptBlob(blob: Uint8Array, key: Uint8Array): Uint8Array {
  return chacha20poly1305(key, blob.subarray(0, 12)).decrypt(blob.subarray(12))
}

/** Reads a chat text as an attachment; undefined if it is plain text. */
export function readAttachment(text: string): Attachment | undefined {
  if (!text.startsWith('{') || text.length > 4000) return undefined
  try {
    const v = JSON.parse(text) as Record<string, unknown>
    if (v.type !== 'image_encrypted' && v.type !== 'file_encrypted') return undefined
    const url = fileURL(v.blossom_url)
    if (!url) return undefined
    const n = (x: unknown): number => (Number.isSafeInteger(x) && (x as number) >= 0 ? (x as number) : 0)
    const words = (x: unknown): string => (typeof x === 'string' ? clip(x, 100) : '')
    const a: Attachment = { url, mime: words(v.mime_type), name: words(v.filename), size: n(v.original_size) }
    if (n(v.width) && n(v.height)) Object.assign(a, { width: n(v.width), height: n(v.height) })
    if (typeof v.key === 'string') a.key = v.key
    return a
  } catch {
    return undefined
  }
}

function fileURL(v: unknown): string | undefined {
  if (typeof v !== 'string') return undefined
  const url = URL.parse(v.replace(/^blossom:\/\//, 'https://'))
  if (!url || url.username || url.password) return undefined
  return url.protocol === 'https:' ? url.href : undefined
}

/** The picture types that are shown; anything else is offered as a file. SVG is not among them: it can hold script. */
export const shownTypes = ['image/jpeg', 'image/png', 'image/webp', 'image/gif']

/** The type of a file by its first bytes, whatever its name says. */
export function sniff(b: Uint8Array): string {
  const at = (i: number, ...bytes: number[]): boolean => bytes.every((x, j) => b[i + j] === x)
  if (at(0, 0xff, 0xd8, 0xff)) return 'image/jpeg'
  if (at(0, 0x89, 0x50, 0x4e, 0x47)) return 'image/png'
  if (at(0, 0x47, 0x49, 0x46, 0x38)) return 'image/gif'
  if (at(0, 0x52, 0x49, 0x46, 0x46) && at(8, 0x57, 0x45, 0x42, 0x50)) return 'image/webp'
  if (at(0, 0x25, 0x50, 0x44, 0x46)) return 'application/pdf'
  return 'application/octet-stream'
}

/** Puts a blob on the first server that takes it, under a throwaway key, and returns where it is. */
export async function upload(blob: Uint8Array, servers: string[], signal?: AbortSignal): Promise<string> {
  const id = bytesToHex(sha256(blob))
  const auth = sign(
    { kind: 24242, created_at: now(), content: 'Upload', tags: [['t', 'upload'], ['x', id], ['expiration', String(now() + 3600)]] },
    keyOf(randomSecret()),
  )
  let last: unknown
  for (const server of servers) {
    try {
      const root = server.replace(/\/+$/, '')
      const res = await fetch(root + '/upload', {
        method: 'PUT', body: blob as Uint8Array<ArrayBuffer>, credentials: 'omit', referrerPolicy: 'no-referrer', signal: signal ?? null,
        headers: { authorization: 'Nostr ' + base64.encode(utf8ToBytes(JSON.stringify(auth))), 'content-type': 'application/octet-stream' },
      })
      if (res.ok) return `${root}/${id}`
      last = new Error(`${root}: ${res.status}`)
    } catch (e) {
      last = e
    }
  }
  throw new Error('no server took the file', { cause: last })
}

export async function download(a: Attachment, shared: Uint8Array): Promise<Uint8Array> {
  const res = await fetch(a.url, { credentials: 'omit', referrerPolicy: 'no-referrer' })
  if (!res.ok || Number(res.headers.get('content-length') ?? 0) > maxFile + 28) throw new Error('the file is not there')
  const blob = new Uint8Array(await res.arrayBuffer())
  if (blob.length > maxFile + 28) throw new Error('the file is too large')
  return decryptBlob(blob, a.key ? base64.decode(a.key) : shared)
}

/** The chat text that names an uploaded picture or file. */
export function describe(blob: Uint8Array, url: string, f: { mime: string; name: string; size: number; width: number; height: number }): string {
  const common = { blossom_url: url, nonce: bytesToHex(blob.subarray(0, 12)), mime_type: f.mime, original_size: f.size }
  if (shownTypes.includes(f.mime))
    return JSON.stringify({ type: 'image_encrypted', ...common, width: f.width, height: f.height, filename: f.name, encrypted_size: blob.length })
  return JSON.stringify({ type: 'file_encrypted', file_type: 'document', ...common, filename: f.name, encrypted_size: blob.length })
}
