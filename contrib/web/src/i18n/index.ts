// Words of the interface, with keys that the compiler knows; numbers and times as the language writes them.

import { signal } from '@preact/signals'
import i18next from 'i18next'
import { en, type Words } from './en'
import { es } from './es'
import { pt } from './pt'

declare module 'i18next' {
  interface CustomTypeOptions {
    keySeparator: false
    nsSeparator: false
    resources: { translation: typeof en }
  }
}

export type Key = keyof Words

export const languages = { en: 'English', es: 'Español', pt: 'Português' } as const
export type Language = keyof typeof languages
const tables: Record<Language, Words> = { en, es, pt }

/** Languages that are written from right to left; none is translated yet, the layout is ready. */
const rightToLeft = ['ar', 'fa', 'he', 'ur']

export const language = signal<Language>('en')

void i18next.init({
  lng: 'en', fallbackLng: 'en', keySeparator: false, nsSeparator: false, interpolation: { escapeValue: false }, initAsync: false,
  resources: Object.fromEntries(Object.entries(tables).map(([l, w]) => [l, { translation: w }])),
})

/** The browser's wish, if we speak it. */
export function wished(): Language {
  for (const l of navigator.languages ?? []) {
    const short = l.slice(0, 2)
    if (short in languages) return short as Language
  }
  return 'en'
}

export function speak(l: Language): void {
  void i18next.changeLanguage(l)
  language.value = l
  document.documentElement.lang = l
  document.documentElement.dir = rightToLeft.includes(l) ? 'rtl' : 'ltr'
}

type Values = Record<string, string | number>

export function t(key: Key, values: Values = {}): string {
  language.value // what shows words is drawn anew when the language changes
  return (i18next.t as (key: Key, values: Values) => string)(key, values)
}

/** The words for a name that may be newer than we are, or those of `other`. */
export function tOr(key: string, other: Key, values: Values = {}): string {
  return t((key in en ? key : other) as Key, values)
}

/** The user's own habits in writing numbers and dates, if they are of the language that is spoken. */
const locale = (): string => navigator.languages?.find((l) => l.slice(0, 2) === language.value) ?? language.value

const formats = new Map<string, Intl.NumberFormat>()

function format(o: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = language.value + JSON.stringify(o)
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.NumberFormat(locale(), o)))
  return f
}

export const num = (n: number, digits = 0): string => format({ maximumFractionDigits: digits }).format(n)
export const sats = (n: number): string => `${num(n)} ${t('common.sats')}`
export const percent = (fraction: number, digits = 1): string => format({ style: 'percent', maximumFractionDigits: digits }).format(fraction)
export const signed = (pct: number, digits = 1): string => format({ maximumFractionDigits: digits, signDisplay: 'exceptZero' }).format(pct) + ' %'

/** A fiat amount; the code is a stranger's, so it is text and not a currency of Intl's. */
export const money = (n: number, code: string): string => `${num(n, 2)} ${code}`

export const fiatRange = (o: { fiat: number; min: number; max: number; currency: string }): string =>
  o.max > 0 ? `${num(o.min, 2)}–${money(o.max, o.currency)}` : money(o.fiat, o.currency)

export function when(at: number): string {
  const d = new Date(at * 1000)
  const today = new Date().toDateString() === d.toDateString()
  return new Intl.DateTimeFormat(locale(), today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' }).format(d)
}

/** A length of time in its greatest unit, or two. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return t('time.s', { n: s })
  if (s < 3600) return t('time.m', { n: Math.floor(s / 60) })
  if (s < 48 * 3600) {
    const m = Math.floor((s % 3600) / 60)
    return t('time.h', { n: Math.floor(s / 3600) }) + (m && s < 12 * 3600 ? ' ' + t('time.m', { n: m }) : '')
  }
  return t('time.d', { n: Math.floor(s / 86400) })
}

export const ago = (seconds: number): string => (seconds < 60 ? t('time.now') : t('time.ago', { time: span(seconds) }))
