import 'fake-indexeddb/auto'
import { beforeEach, describe, expect, it } from 'vitest'
import { Vault, WrongPassphrase } from '../src/lib/vault'

beforeEach(() => Vault.wipe())

async function raw(v: Vault): Promise<string> {
  const [boxes, header] = await Promise.all([v.db.getAll('box'), v.db.getAll('meta')])
  return JSON.stringify([boxes.map((b) => new TextDecoder('latin1').decode(b)), header])
}

describe('a vault', () => {
  it('opens with its passphrase alone, also after it was closed', async () => {
    const v = await Vault.create('correct horse')
    await v.put('account', { mnemonic: 'leader monkey', next: 3 })
    expect(await raw(v)).not.toContain('leader')
    v.close()
    await expect(Vault.unlock('wrong horse')).rejects.toBeInstanceOf(WrongPassphrase)
    const again = await Vault.unlock('correct horse')
    expect(await again.get('account')).toEqual({ mnemonic: 'leader monkey', next: 3 })
    await expect(Vault.create('another')).rejects.toThrow()
    again.close()
  })
  it('gives no number twice to two tabs', async () => {
    const a = await Vault.create('correct horse')
    const b = await Vault.unlock('correct horse')
    await a.put('n', 0)
    const got = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).update<number>('n', (n) => n! + 1)))
    expect(new Set(got).size).toBe(20)
    a.close()
    b.close()
  })
  it('keeps a record as it was when a change fails', async () => {
    const v = await Vault.create('correct horse')
    await v.put('x', 1)
    await expect(v.update('x', () => { throw new Error('no') })).rejects.toThrow('no')
    expect(await v.get('x')).toBe(1)
    v.close()
  })
  it('lists by prefix, and leaves out a record that is damaged or moved', async () => {
    const v = await Vault.create('correct horse')
    for (const id of ['trade:1', 'trade:2', 'chat:1']) await v.put(id, id)
    await v.db.put('box', (await v.db.get('box', 'trade:1'))!, 'trade:3')
    expect(await v.list('trade:')).toEqual(['trade:1', 'trade:2'])
    v.close()
  })
  it('comes back from its backup, under the same passphrase', async () => {
    const v = await Vault.create('correct horse')
    await v.put('account', { next: 7 })
    const file = await v.export()
    expect(file).not.toContain('next')
    v.close()
    await Vault.wipe()
    expect(await Vault.exists()).toBe(false)
    await expect(Vault.import(file, 'wrong')).rejects.toBeInstanceOf(WrongPassphrase)
    expect(await Vault.exists()).toBe(false)
    const back = await Vault.import(file, 'correct horse')
    expect(await back.get('account')).toEqual({ next: 7 })
    await back.changePassphrase('battery staple')
    back.close()
    await expect(Vault.unlock('correct horse')).rejects.toBeInstanceOf(WrongPassphrase)
    ;(await Vault.unlock('battery staple')).close()
  })
  it('is not replaced by a file that is none, or that asks for all memory', async () => {
    const v = await Vault.create('correct horse')
    const file = JSON.parse(await v.export()) as { header: { kdf: { N: number } } }
    v.close()
    for (const s of ['', '{}', '{"format":"mostro-web-backup"}']) await expect(Vault.import(s, 'x')).rejects.toThrow('no backup file')
    file.header.kdf.N = 2 ** 30
    await expect(Vault.import(JSON.stringify(file), 'correct horse')).rejects.toThrow('memory')
    expect(await Vault.exists()).toBe(true)
  })
})
