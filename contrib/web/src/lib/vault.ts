// What this device keeps: in IndexedDB, every record encrypted under a key that only the passphrase opens. Several
// tabs may share it; a change of a record is one database transaction.

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { base64 } from '@scure/base'
import { openDB, type DBSchema, type IDBPDatabase } from 'idb'

interface Header {
  version: 1
  kdf: { name: 'scrypt'; N: number; r: number; p: number; salt: Uint8Array }
  /** the records' key under the passphrase's key */
  wrapped: Uint8Array
}

interface Schema extends DBSchema {
  meta: { key: 'header'; value: Header }
  box: { key: string; value: Uint8Array }
}

const version = 1
const name = 'mostro'

/** 64 MiB and about half a second on a laptop. It is written beside the key, so it can be raised later. */
const work = { N: 2 ** 16, r: 8, p: 1 }

const encrypt = (key: Uint8Array, label: string, plain: Uint8Array): Uint8Array => {
  const nonce = randomBytes(24)
  return concatBytes(nonce, xchacha20poly1305(key, nonce, utf8ToBytes(label)).encrypt(plain))
}

const decrypt = (key: Uint8Array, label: string, box: Uint8Array): Uint8Array =>
  xchacha20poly1305(key, box.subarray(0, 24), utf8ToBytes(label)).decrypt(box.subarray(24))

export class WrongPassphrase extends Error {}

function database(): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>(name, version, {
    upgrade(db) {
      db.createObjectStore('meta')
      db.createObjectStore('box')
    },
    blocking(_current, _blocked, event) {
      ;(event.target as IDBDatabase).close() // another tab wipes it
    },
  })
}

async function passKey(pass: string, kdf: Header['kdf']): Promise<Uint8Array> {
  return scryptAsync(utf8ToBytes(pass.normalize('NFKC')), kdf.salt, { N: kdf.N, r: kdf.r, p: kdf.p, dkLen: 32 })
}

async function newHeader(pass: string, key: Uint8Array): Promise<Header> {
  const kdf = { name: 'scrypt' as const, ...work, salt: randomBytes(16) }
  return { version: 1, kdf, wrapped: encrypt(await passKey(pass, kdf), 'key', key) }
}

async function openHeader(pass: string, h: Header): Promise<Uint8Array> {
  if (h.kdf.N > 2 ** 20 || h.kdf.r > 16 || h.kdf.p > 4) throw new Error('this file asks for too much memory')
  const k = await passKey(pass, h.kdf)
  try {
    return decrypt(k, 'key', h.wrapped)
  } catch {
    throw new WrongPassphrase('wrong passphrase')
  }
}

/** The file that a backup is: all as it lies in the database, so still under the passphrase. */
interface BackupFile {
  format: 'mostro-web-backup'
  header: { version: 1; kdf: Omit<Header['kdf'], 'salt'> & { salt: string }; wrapped: string }
  box: Record<string, string>
}

export class Vault {
  private constructor(
    readonly db: IDBPDatabase<Schema>,
    readonly key: Uint8Array,
  ) {}

  static async exists(): Promise<boolean> {
    const db = await database()
    const found = (await db.getKey('meta', 'header')) !== undefined
    db.close()
    return found
  }

  /** Makes a new one; refuses if there is one already. */
  static async create(pass: string): Promise<Vault> {
    const key = randomBytes(32)
    const header = await newHeader(pass, key)
    const db = await database()
    await db.add('meta', header, 'header')
    return new Vault(db, key)
  }

  /** Throws WrongPassphrase. */
  static async unlock(pass: string): Promise<Vault> {
    const db = await database()
    const header = await db.get('meta', 'header')
    if (!header) throw new Error('there is no wallet on this device')
    return new Vault(db, await openHeader(pass, header))
  }

  /** Removes everything, from all tabs. */
  static async wipe(): Promise<void> {
    const db = await database()
    const tx = db.transaction(['meta', 'box'], 'readwrite')
    await Promise.all([tx.objectStore('meta').clear(), tx.objectStore('box').clear(), tx.done])
    db.close()
    indexedDB.deleteDatabase(name)
  }

  async changePassphrase(pass: string): Promise<void> {
    await this.db.put('meta', await newHeader(pass, this.key), 'header')
  }

  #open<T>(id: string, box: Uint8Array | undefined): T | undefined {
    return box && (JSON.parse(new TextDecoder().decode(decrypt(this.key, id, box))) as T)
  }

  async get<T>(id: string): Promise<T | undefined> {
    return this.#open(id, await this.db.get('box', id))
  }

  async put<T>(id: string, value: T): Promise<void> {
    await this.db.put('box', encrypt(this.key, id, utf8ToBytes(JSON.stringify(value))), id)
  }

  /** Changes a record in one step, also for other tabs. The function must be quick and may run only once. */
  async update<T>(id: string, change: (old: T | undefined) => T): Promise<T> {
    const tx = this.db.transaction('box', 'readwrite')
    try {
      const value = change(this.#open<T>(id, await tx.store.get(id)))
      await tx.store.put(encrypt(this.key, id, utf8ToBytes(JSON.stringify(value))), id)
      await tx.done
      return value
    } catch (e) {
      tx.abort()
      await tx.done.catch(() => {})
      throw e
    }
  }

  /** All records whose id begins so. One that does not open is left out. */
  async list<T>(prefix: string): Promise<T[]> {
    const range = IDBKeyRange.bound(prefix, prefix + '\uffff')
    const [ids, boxes] = await Promise.all([this.db.getAllKeys('box', range), this.db.getAll('box', range)])
    const out: T[] = []
    boxes.forEach((b, i) => {
      try {
        out.push(this.#open<T>(ids[i]!, b)!)
      } catch {
        /* damaged; the others count */
      }
    })
    return out
  }

  async remove(id: string): Promise<void> {
    await this.db.delete('box', id)
  }

  async export(): Promise<string> {
    const h = (await this.db.get('meta', 'header'))!
    const [ids, boxes] = await Promise.all([this.db.getAllKeys('box'), this.db.getAll('box')])
    const file: BackupFile = {
      format: 'mostro-web-backup',
      header: { version: 1, kdf: { ...h.kdf, salt: base64.encode(h.kdf.salt) }, wrapped: base64.encode(h.wrapped) },
      box: Object.fromEntries(ids.map((id, i) => [id, base64.encode(boxes[i]!)])),
    }
    return JSON.stringify(file)
  }

  /** Puts a backup in place of what is here, after the passphrase has opened it. */
  static async import(json: string, pass: string): Promise<Vault> {
    const { header, box } = readBackup(json)
    const key = await openHeader(pass, header)
    for (const [id, b] of box) decrypt(key, id, b) // all of it, before anything is replaced
    const db = await database()
    const tx = db.transaction(['meta', 'box'], 'readwrite')
    const boxes = tx.objectStore('box')
    await boxes.clear()
    for (const [id, b] of box) await boxes.put(b, id)
    await tx.objectStore('meta').put(header, 'header')
    await tx.done
    return new Vault(db, key)
  }

  close(): void {
    this.key.fill(0)
    this.db.close()
  }
}

function readBackup(json: string): { header: Header; box: [string, Uint8Array][] } {
  try {
    const f = JSON.parse(json) as BackupFile
    if (f.format !== 'mostro-web-backup' || f.header.version !== 1) throw new Error('another format')
    const k = f.header.kdf
    const kdf = { name: 'scrypt' as const, N: Number(k.N), r: Number(k.r), p: Number(k.p), salt: base64.decode(k.salt) }
    const box = Object.entries(f.box).map(([id, b]): [string, Uint8Array] => [id, base64.decode(b)])
    return { header: { version: 1, kdf, wrapped: base64.decode(f.header.wrapped) }, box }
  } catch (e) {
    throw new Error('this is no backup file of ours', { cause: e })
  }
}
