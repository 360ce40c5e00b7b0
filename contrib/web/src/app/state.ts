// The page's one state: relays, the market, and the trader once the wallet is open.

import { batch, computed, signal } from '@preact/signals'
import { tOr, t } from '../i18n'
import type { Rates, ServerInfo } from '../lib/book'
import { now } from '../lib/event'
import { readMnemonic } from '../lib/keys'
import { Market, type Listed } from '../lib/market'
import { Pool } from '../lib/relay'
import { clockFault, Trader, type Account, type ChatLine } from '../lib/trader'
import type { Received } from '../lib/message'
import { isFinal, type TradeRecord, type TradeView } from '../lib/trade'
import { Vault } from '../lib/vault'
import { readConnection, Wallet } from '../lib/nwc'
import { backgroundVerifier, mine } from '../lib/workers'
import { settings } from './settings'

/** Changes whenever the market or the relays do; at most a few times a second. */
export const marketTurn = signal(0)
/** Changes whenever a trade or a chat does. */
export const tradeTurn = signal(0)
/** This device's time, seconds; moves once a second while the page is seen. */
export const clock = signal(now())
export const online = signal(navigator.onLine)

function slow(bump: () => void, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      bump()
    }, ms)
  }
}

const touchMarket = slow(() => marketTurn.value++, 250)
const touchTrades = slow(() => tradeTurn.value++, 16)

export const pool = new Pool(touchMarket)
export const market = new Market(pool, backgroundVerifier(), touchMarket)

/** The time, corrected where this device's clock is wrong. */
const time = (): number => now() + (Math.abs(market.skew) > clockFault ? market.skew : 0)

export type WalletState = 'looking' | 'none' | 'locked' | 'open'
export const walletState = signal<WalletState>('looking')
export const trader = signal<Trader | undefined>(undefined)

export const infoOf = (server: string): ServerInfo | undefined => market.servers.get(server)?.info
export const ratesOf = (server: string): Rates | undefined => market.servers.get(server)?.rates

/** A server's name, or the beginning of its key. */
export function serverName(server: string): string {
  const i = infoOf(server)
  return i?.name || i?.nodeAlias || server.slice(0, 8)
}

const world = {
  pool, mine, info: infoOf, skew: () => market.skew, way: (s: string) => settings.value.ways[s], changed: touchTrades,
  news: (r: TradeRecord, what: Received | ChatLine) => void notify(r, what),
}

export const views = computed<TradeView[]>(() => {
  tradeTurn.value
  const tr = trader.value
  if (!tr) return []
  return [...tr.trades.values()]
    .map((r) => tr.view(r, ratesOf(r.server)))
    .filter((v) => v.record.parent === undefined || v.record.letters.length > 0)
    .sort((a, b) => Number(b.live) - Number(a.live) || b.record.index - a.record.index)
})

export const waitingForMe = computed(() => views.value.filter((v) => v.live && v.turn === 'me').length)

export function offer(server: string, id: string): Listed | undefined {
  return market.offers.get(`${server}:${id}`)
}

// ---- wallet

async function opened(t: Trader): Promise<void> {
  batch(() => {
    trader.value = t
    walletState.value = 'open'
  })
  touchTrades()
}

export async function createWallet(words: string, pass: string, isPrivate: boolean): Promise<void> {
  const mnemonic = readMnemonic(words)
  if (!mnemonic) throw new Error('not a mnemonic')
  const account: Account = { mnemonic, next: 1, private: isPrivate }
  await opened(await Trader.begin(await Vault.create(pass), account, world))
}

export async function unlock(pass: string): Promise<void> {
  await opened(await Trader.resume(await Vault.unlock(pass), world))
}

export async function openBackup(file: string, pass: string): Promise<void> {
  await opened(await Trader.resume(await Vault.import(file, pass), world))
}

export function lock(to: WalletState = 'locked'): void {
  const t = trader.value
  nwc?.wallet.close()
  nwc = undefined
  batch(() => {
    walletState.value = to
    trader.value = undefined
  })
  t?.close()
}

/** Deletes all that this device knows, and starts from nothing. */
export async function wipe(): Promise<void> {
  lock('looking')
  await Vault.wipe()
  localStorage.clear()
  sessionStorage.clear()
  for (const name of (await globalThis.caches?.keys().catch(() => [])) ?? []) await caches.delete(name)
  for (const r of (await navigator.serviceWorker?.getRegistrations().catch(() => [])) ?? []) await r.unregister()
  location.hash = ''
  new BroadcastChannel('mostro').postMessage({ wiped: true }) // other tabs
  location.reload()
}

let nwc: { uri: string; wallet: Wallet } | undefined

/** The connected wallet, if there is one. */
export function connectedWallet(): Wallet | undefined {
  const uri = trader.value?.account.nwc
  if (!uri) return undefined
  if (nwc?.uri === uri) return nwc.wallet
  const c = readConnection(uri)
  if (!c) return undefined
  nwc?.wallet.close()
  nwc = { uri, wallet: new Wallet(c) }
  return nwc.wallet
}

export interface WebLN {
  enable(): Promise<void>
  sendPayment(invoice: string): Promise<unknown>
  makeInvoice(a: { amount: number; defaultMemo?: string }): Promise<{ paymentRequest: string }>
}

export const webln = (): WebLN | undefined => (window as { webln?: WebLN }).webln

// ---- notifications

async function notify(r: TradeRecord, what: Received | ChatLine): Promise<void> {
  if (!settings.value.notify || !document.hidden || Notification.permission !== 'granted') return
  const chat = 'text' in what
  const action = chat ? '' : what.action
  const text = chat ? t('news.chat') : tOr('ev.' + action, 'ev.other', { action, why: '', score: '', n: '' })
  // One tag a trade: two tabs show one notification, and the newest counts.
  const options = { body: text, tag: `mostro-${r.index}`, icon: 'icon-192.png', data: { url: `#/trade/${r.index}` } }
  try {
    const n = new Notification(t('app.name'), options)
    n.onclick = () => {
      window.focus()
      location.hash = `#/trade/${r.index}`
    }
  } catch {
    const reg = await navigator.serviceWorker?.getRegistration()
    await reg?.showNotification(t('app.name'), options)
  }
}

// ---- start

export async function start(): Promise<void> {
  market.follow()
  pool.use(settings.value.relays)
  walletState.value = (await Vault.exists().catch(() => false)) ? 'locked' : 'none'
  setInterval(() => {
    if (!document.hidden) clock.value = time()
  }, 1000)
  setInterval(() => market.tick(time()), 60_000)
  const back = (): void => {
    online.value = navigator.onLine
    clock.value = time()
    if (!document.hidden && navigator.onLine) pool.wake()
  }
  document.addEventListener('visibilitychange', back)
  window.addEventListener('online', back)
  window.addEventListener('offline', back)
  new BroadcastChannel('mostro').onmessage = (e: MessageEvent<{ wiped?: true }>) => {
    if (e.data.wiped) location.reload()
  }
}

export const finished = (v: TradeView): boolean => isFinal(v.status)
