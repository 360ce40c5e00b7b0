import { readFileSync } from 'node:fs'
import { hexToBytes } from '@noble/hashes/utils.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { keyOf, type Key } from '../src/lib/keys'

/** A file that the Go codec's tests use as well. */
export const shared = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../nostrio/testdata/${name}`, import.meta.url), 'utf8')) as T

export const named = (s: string): Uint8Array => sha256(utf8ToBytes(s))
export const node: Key = keyOf(named('mostro golden node'))
export const oneShot: Key = keyOf(named('mostro golden ephemeral'))
export const words = 'leader monkey parrot ring guide accident before fence cannon height naive bean'
export const trade: Key = keyOf(hexToBytes('e11bbbdd648f3eaaed73c14f1bdecf84f79fc7c7a2291df2344a5237b9b42929'))
export const identity: Key = keyOf(hexToBytes('df5ba9d72ec62e9d39a095f1b86936fe10abfc7d56700caa1652a463a40d19b1'))
export const seller: Key = keyOf(hexToBytes('977b9da8056e6a83a991cb31ac507b0a618fbbee355e36e107e0e348686ab833'))
export const O1 = '5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11'
