// The world that the page is tested in: the real plugin on a simulated node, two relays, wallets. One for each file of
// tests; it ends with its standard input.

import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test as base, expect } from '@playwright/test'
import { Person } from './person'

interface Exchange {
  pubkey: string
  web: string
  name: string
}

interface About {
  control: string
  relays: string[]
  exchanges: Exchange[]
  solvers: { npub: string; nsec: string; pubkey: string }[]
}

const repo = fileURLToPath(new URL('../../..', import.meta.url))

/** What each wallet has at its beginning. */
export const purse = 1_000_000

export class World {
  readonly at: { page: string; control: string; relays: string[]; mostro: string }

  private constructor(
    readonly about: About,
    private readonly child: ChildProcess,
  ) {
    const [first] = about.exchanges
    this.at = { page: first!.web.replace(/\/*$/, '/'), control: about.control, relays: about.relays, mostro: first!.pubkey }
  }

  static async start(...args: string[]): Promise<World> {
    const bin = repo + '/bin'
    const child = spawn(bin + '/webworld', ['-bin', bin, '-relays', '2', '-option', 'mostro-info-interval-seconds=10', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    const line = await new Promise<string>((resolve, reject) => {
      let text = ''
      child.stdout!.on('data', (d: Buffer) => {
        text += d.toString()
        if (text.includes('\n')) resolve(text.split('\n')[0]!)
      })
      child.on('error', reject)
      child.on('exit', (code) => reject(new Error(`webworld ended with ${code}`)))
    })
    return new World(JSON.parse(line) as About, child)
  }

  async stop(): Promise<void> {
    const gone = new Promise((r) => this.child.on('exit', r))
    this.child.stdin!.end()
    await gone
  }

  async tell<T = object>(command: string, body: object = {}): Promise<T> {
    const res = await fetch(`${this.at.control}/${command}`, { method: 'POST', body: JSON.stringify(body) })
    if (!res.ok) throw new Error(`${command}: ${await res.text()}`)
    return (await res.json()) as T
  }

  invoice = async (wallet: string, sats: number): Promise<string> => (await this.tell<{ bolt11: string }>('invoice', { wallet, sats })).bolt11
  pay = (wallet: string, bolt11: string): Promise<object> => this.tell('pay', { wallet, bolt11 })
  async balance(wallet: string): Promise<{ sats: number; locked: number }> {
    const { wallets } = await this.tell<{ wallets: { wallet: string; available_msat: number; locked_msat: number }[] }>('wallets', { wallet })
    const mine = wallets.find((w) => w.wallet === wallet)!
    return { sats: Math.floor(mine.available_msat / 1000), locked: Math.floor(mine.locked_msat / 1000) }
  }
  status = async (order: string): Promise<string> => (await this.tell<{ status: string }>('order', { order_id: order })).status
  relay = (relay: number, up: boolean): Promise<object> => this.tell('relay', { relay, do: up ? 'start' : 'stop' })
  async faults(f: object): Promise<void> {
    for (const relay of this.at.relays.keys()) await this.tell('faults', { relay, ...f })
  }
}

interface Fixtures {
  /** Makes a person with a browser of his own. */
  person: (name: string, over?: { phone?: boolean; way?: 1 | 2; private?: boolean }) => Promise<Person>
}

export const test = base.extend<Fixtures, { world: World }>({
  world: [
    async ({}, use) => {
      const w = await World.start()
      await use(w)
      await w.stop()
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  person: async ({ browser, world }, use) => {
    const all: Person[] = []
    await use(async (name, over = {}) => {
      const p = await Person.arrive(browser, world, name, over)
      all.push(p)
      return p
    })
    for (const p of all) await p.leave()
  },
})

export { expect }
