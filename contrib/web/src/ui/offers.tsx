// The order book of all servers.

import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { clock, infoOf, market, marketTurn, pool, ratesOf, serverName } from '../app/state'
import { settings } from '../app/settings'
import { isRange } from '../lib/book'
import type { Listed } from '../lib/market'
import { effectivePrice, quote } from '../lib/money'
import { ago, fiatRange, num, signed, t } from '../i18n'
import { Choice, Field, Icon, Rows, Stars } from './bits'

interface Filters {
  side: 'buy' | 'sell'
  currency: string
  amount: string
  method: string
  premium: string
  server: string
  rating: string
  sort: 'price' | 'new' | 'rating' | 'amount'
}

const none: Filters = { side: 'buy', currency: '', amount: '', method: '', premium: '', server: '', rating: '', sort: 'price' }
const filters = signal<Filters>(none)
const wide = signal(false)

export const showOnly = (server: string): void => void (filters.value = { ...none, side: filters.value.side, server })

/** What an offer costs its taker, worked out. */
export interface Costs {
  /** fiat per bitcoin with premium and the server's fee; 0: not known */
  price: number
  /** sats of the whole offer; 0: not known */
  sats: number
  /** percent over the server's market price, fee included; undefined: not known */
  over?: number
}

export function costs(o: Listed, fiat = o.max || o.fiat): Costs {
  const info = infoOf(o.server)
  const market = ratesOf(o.server)?.get(o.currency)
  const sats = o.amount || (market && fiat ? quote(fiat, market, o.premium) : 0)
  const fee = info ?? { fee: 0, feePayer: 'seller' as const }
  const price = sats > 0 && fiat > 0 ? effectivePrice(o.kind === 'sell' ? 'buyer' : 'seller', fiat, sats, fee) : 0
  if (price > 0 && market) return { price, sats, over: (price / market - 1) * 100 }
  if (o.amount === 0) return { price, sats, over: o.premium } // without a price the premium is all that is known
  return { price, sats }
}

interface Row extends Costs {
  o: Listed
}

function fits(o: Listed, f: Filters): boolean {
  if ((f.side === 'buy') !== (o.kind === 'sell')) return false
  if (f.currency && o.currency !== f.currency) return false
  if (f.server && o.server !== f.server) return false
  if (!f.server && settings.value.hidden.includes(o.server)) return false
  const amount = Number(f.amount.replace(',', '.'))
  if (f.amount && amount > 0 && (isRange(o) ? amount < o.min || amount > o.max : Math.abs(o.fiat - amount) > amount * 0.1)) return false
  if (f.method && !o.methods.join(' ').toLowerCase().includes(f.method.toLowerCase())) return false
  const premium = Number(f.premium.replace(',', '.').replace('−', '-'))
  if (f.premium && Number.isFinite(premium) && (f.side === 'buy' ? o.premium > premium : o.premium < premium)) return false
  if (f.rating && (o.rating?.reviews ? o.rating.score : 0) < Number(f.rating)) return false
  return true
}

function arrange(rows: Row[], f: Filters): Row[] {
  const dir = f.side === 'buy' ? 1 : -1
  const far = dir * Infinity
  const by: Record<Filters['sort'], (a: Row, b: Row) => number> = {
    price: (a, b) => compare(dir * (a.over ?? far), dir * (b.over ?? far)),
    new: (a, b) => b.o.created_at - a.o.created_at,
    rating: (a, b) => (b.o.rating?.score ?? 0) - (a.o.rating?.score ?? 0) || (b.o.rating?.reviews ?? 0) - (a.o.rating?.reviews ?? 0),
    amount: (a, b) => (a.o.max || a.o.fiat) - (b.o.max || b.o.fiat),
  }
  return rows.sort((a, b) => by[f.sort](a, b) || b.o.created_at - a.o.created_at || (a.o.id < b.o.id ? -1 : 1))
}

const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1)

const phone = matchMedia('(max-width: 719px)')

export function Offers(): JSX.Element {
  const f = filters.value
  const turn = marketTurn.value
  const minute = Math.floor(clock.value / 10)
  const hidden = settings.value.hidden
  const open = useMemo(() => market.open(clock.peek()), [turn, minute])
  const rows = useMemo(() => arrange(open.filter((o) => fits(o, f)).map((o) => ({ o, ...costs(o) })), f), [open, f, hidden])
  const [small, setSmall] = useState(phone.matches)
  useEffect(() => {
    const look = (): void => setSmall(phone.matches)
    phone.addEventListener('change', look)
    return () => phone.removeEventListener('change', look)
  }, [])
  const loading = pool.up === 0 || market.loaded.size === 0
  return (
    <>
      <h1 class="unseen">{t('book.title')}</h1>
      <FilterBar open={open} />
      <div class="listhead">
        <p class="muted" role="status">{loading && rows.length === 0 ? t('book.loading') : t('book.count', { n: num(rows.length) })}</p>
        <a class="button" href="#/new"><Icon name="plus" />{t('book.make')}</a>
      </div>
      {rows.length > 0 ? (
        <Rows items={rows} height={small ? 138 : 84} label={t('book.list')} id={(r) => `${r.o.server}:${r.o.id}`} row={(r) => <OfferRow r={r} />} />
      ) : loading ? (
        <div class="ghosts" aria-hidden="true"><i /><i /><i /><i /></div>
      ) : (
        <p class="empty">{t(open.length > 0 ? 'book.empty' : 'book.empty.none')}</p>
      )}
    </>
  )
}

function OfferRow({ r: { o, price, over } }: { r: Row }): JSX.Element {
  const cls = over === undefined ? '' : (o.kind === 'sell') === over <= 0 ? 'good' : over === 0 ? '' : 'dear'
  return (
    <a class={`offer ${o.sure ? '' : 'unsure'}`} href={`#/offer/${o.server}/${o.id}`}>
      <span class="o-amount">
        <b>{fiatRange(o)}</b>
        <span class="muted">{o.amount ? `${num(o.amount)} ${t('common.sats')}` : t('common.market') + (o.premium ? ` ${signed(o.premium, 2)}` : '')}</span>
      </span>
      <span class="o-methods">{o.methods.slice(0, 4).map((m, i) => <span class="chip" key={i}>{m}</span>)}{o.methods.length > 4 && <span class="chip">+{o.methods.length - 4}</span>}</span>
      <span class="o-price">
        {price > 0 ? <b>{num(price, price < 100 ? 2 : 0)} <small>{o.currency}/BTC</small></b> : <b>–</b>}
        {over !== undefined && <span class={cls}>{t('book.over', { pct: signed(over) })}</span>}
      </span>
      <span class="o-who">
        <span class="o-server">{serverName(o.server)}</span>
        {o.rating ? <Stars {...o.rating} /> : <span class="muted">{ago(clock.value - o.created_at)}</span>}
      </span>
    </a>
  )
}

function FilterBar({ open }: { open: Listed[] }): JSX.Element {
  const f = filters.value
  const set = (part: Partial<Filters>): void => void (filters.value = { ...f, ...part })
  const tally = useMemo(() => {
    const n = new Map<string, number>()
    for (const o of open) n.set(o.currency, (n.get(o.currency) ?? 0) + 1)
    return [...n].sort((a, b) => b[1] - a[1])
  }, [open])
  const servers = [...market.servers.keys()]
  return (
    <search class="filters" aria-label={t('common.more')}>
      <Choice label={t('book.side')} hide value={f.side} onPick={(side) => set({ side })} options={[['buy', t('book.buy')], ['sell', t('book.sell')]]} />
      <div class="fields">
        <Field label={t('book.currency')}>
          {(a) => (
            <select {...a} value={f.currency} onChange={(e) => set({ currency: e.currentTarget.value })}>
              <option value="">{t('common.any')}</option>
              {f.currency && !tally.some(([c]) => c === f.currency) && <option value={f.currency}>{f.currency}</option>}
              {tally.slice(0, 200).map(([c, n]) => <option value={c} key={c}>{c} ({num(n)})</option>)}
            </select>
          )}
        </Field>
        <Field label={t('book.amount')}>
          {(a) => <input {...a} inputmode="decimal" value={f.amount} placeholder={t('common.any')} onInput={(e) => set({ amount: e.currentTarget.value })} />}
        </Field>
        <Field label={t('book.method')}>
          {(a) => <input {...a} value={f.method} placeholder={t('common.any')} onInput={(e) => set({ method: e.currentTarget.value })} />}
        </Field>
        <Field label={t('book.sort')}>
          {(a) => (
            <select {...a} value={f.sort} onChange={(e) => set({ sort: e.currentTarget.value as Filters['sort'] })}>
              {(['price', 'new', 'rating', 'amount'] as const).map((s) => <option value={s} key={s}>{t(`book.sort.${s}`)}</option>)}
            </select>
          )}
        </Field>
      </div>
      {wide.value && (
        <div class="fields" id="more-filters">
          <Field label={t(f.side === 'buy' ? 'book.premium' : 'book.discount')}>
            {(a) => <input {...a} inputmode="numeric" value={f.premium} placeholder={t('common.any')} onInput={(e) => set({ premium: e.currentTarget.value })} />}
          </Field>
          <Field label={t('book.server')}>
            {(a) => (
              <select {...a} value={f.server} onChange={(e) => set({ server: e.currentTarget.value })}>
                <option value="">{t('common.any')}</option>
                {servers.map((s) => <option value={s} key={s}>{serverName(s)}</option>)}
              </select>
            )}
          </Field>
          <Field label={t('book.rating')}>
            {(a) => (
              <select {...a} value={f.rating} onChange={(e) => set({ rating: e.currentTarget.value })}>
                <option value="">{t('common.any')}</option>
                {['3', '4', '4.5'].map((n) => <option value={n} key={n}>{num(Number(n), 1)}</option>)}
              </select>
            )}
          </Field>
        </div>
      )}
      <div class="buttons">
        <button type="button" class="link" aria-expanded={wide.value} onClick={() => (wide.value = !wide.value)}><Icon name="filter" />{t(wide.value ? 'common.less' : 'common.more')}</button>
        {JSON.stringify({ ...f, side: 'buy', sort: 'price' }) !== JSON.stringify(none) && <button type="button" class="link" onClick={() => (filters.value = { ...none, side: f.side, sort: f.sort })}>{t('book.reset')}</button>}
      </div>
    </search>
  )
}
