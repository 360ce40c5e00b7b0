// Keys of a trader (Mostro protocol, "Key management"): one mnemonic, an identity key that earns reputation, and a
// fresh trade key for every order.

import { HDKey } from '@scure/bip32'
import { generateMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { schnorr } from '@noble/curves/secp256k1.js'
import { bytesToHex } from '@noble/hashes/utils.js'

export interface Key {
  secret: Uint8Array
  /** x-only, 64 hex characters */
  pub: string
}

export function keyOf(secret: Uint8Array): Key {
  return { secret, pub: bytesToHex(schnorr.getPublicKey(secret)) }
}

export const newMnemonic = (): string => generateMnemonic(wordlist)

/** The words in their usual spelling, or undefined if they are no mnemonic. */
export function readMnemonic(s: string): string | undefined {
  const words = s.normalize('NFKD').trim().toLowerCase().split(/\s+/).join(' ')
  return validateMnemonic(words, wordlist) ? words : undefined
}

/** Keys at m/44'/1237'/38383'/0/i: 0 is the identity, trades begin at 1. */
export class Keyring {
  readonly #branch: HDKey
  readonly #made = new Map<number, Key>()

  constructor(mnemonic: string) {
    this.#branch = HDKey.fromMasterSeed(mnemonicToSeedSync(mnemonic)).derive("m/44'/1237'/38383'/0")
  }

  key(index: number): Key {
    let k = this.#made.get(index)
    if (!k) {
      if (!Number.isInteger(index) || index < 0 || index > 0x7fffffff) throw new RangeError('key index out of range')
      k = keyOf(this.#branch.deriveChild(index).privateKey!)
      this.#made.set(index, k)
    }
    return k
  }

  get identity(): Key {
    return this.key(0)
  }
}
