// What a user has set up, and no secret among it: it lies in the browser's storage in clear.

import { effect, signal } from '@preact/signals'
import { isPubKey } from '../lib/event'
import { languages, speak, wished, type Language } from '../i18n'

export interface Settings {
  relays: string[]
  blossom: string[]
  /** servers whose offers are not shown */
  hidden: string[]
  /** transport that the user insists on, by server */
  ways: Record<string, 1 | 2>
  language: Language
  theme: 'auto' | 'light' | 'dark'
  notify: boolean
}

const key = 'mostro-settings'
const defaults: Settings = {
  relays: ['wss://relay.mostro.network', 'wss://nos.lol', 'wss://relay.damus.io'],
  blossom: ['https://blossom.primal.net', 'https://blossom.band', 'https://nostr.media'],
  hidden: [], ways: {}, language: 'en', theme: 'auto', notify: false,
}

/** Relays that whoever hosts this page, or a link to it, has named. They are used beside the user's. */
interface Hosted {
  pubkey?: unknown
  relays?: unknown
}

export const isRelay = (s: string): boolean => {
  const u = URL.parse(s)
  if (!u || u.username || u.password || s.length > 200) return false
  return u.protocol === 'wss:' || (u.protocol === 'ws:' && (isLocal(u.hostname) || u.hostname.endsWith('.onion')))
}

const isLocal = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127\./.test(host)

function stored(): Partial<Settings> {
  try {
    const v: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    return typeof v === 'object' && v !== null ? (v as Partial<Settings>) : {}
  } catch {
    return {}
  }
}

const first = localStorage.getItem(key) === null
const read = stored()
const strings = (v: unknown, other: string[]): string[] => (Array.isArray(v) ? v.filter((x): x is string => typeof x === 'string') : other)
export const settings = signal<Settings>({
  ...defaults,
  relays: strings(read.relays, defaults.relays).filter(isRelay), blossom: strings(read.blossom, defaults.blossom), hidden: strings(read.hidden, []),
  ways: typeof read.ways === 'object' && read.ways ? read.ways : {}, notify: read.notify === true,
  theme: read.theme === 'light' || read.theme === 'dark' ? read.theme : 'auto',
  language: read.language && read.language in languages ? read.language : wished(),
})

/** The server that hosts this page, if it is one. */
export const host = signal<string | undefined>(undefined)

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part }
  localStorage.setItem(key, JSON.stringify(settings.value))
}

/** Asks where this page came from for its relays, and reads those of the link. */
export async function meetHost(): Promise<void> {
  const q = new URLSearchParams(location.hash.split('?')[1] ?? '')
  let named: Hosted = { relays: q.getAll('relay') }
  if (location.protocol.startsWith('http')) {
    try {
      const res = await fetch('server.json', { cache: 'no-cache' })
      if (res.ok && res.headers.get('content-type')?.includes('json')) {
        const v = (await res.json()) as Hosted
        if (isPubKey(v.pubkey)) host.value = v.pubkey
        named = { relays: [...strings(v.relays, []), ...strings(named.relays, [])] }
      }
    } catch {
      /* hosted by nobody in particular */
    }
  }
  const relays = strings(named.relays, []).filter(isRelay).map((r) => r.replace(/\/+$/, ''))
  if (relays.length === 0) return
  const old = settings.value.relays
  // At the first visit the host's relays are the only ones: it knows best, and nobody else need be asked.
  const next = first && !localStorage.getItem(key) ? relays : [...old, ...relays.filter((r) => !old.includes(r))]
  change({ relays: [...new Set(next)].slice(0, 20) })
}

effect(() => {
  speak(settings.value.language)
})
effect(() => {
  const { theme } = settings.value
  if (theme === 'auto') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.setAttribute('data-theme', theme)
})
