// One offer, with what taking it means.

import type { JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { host } from '../app/settings'
import { clock, infoOf, market, marketTurn, offer, ratesOf, serverName, trader, views } from '../app/state'
import { isRange, takeable } from '../lib/book'
import { fees, quote, readDestination } from '../lib/money'
import type { Listed } from '../lib/market'
import { fiatRange, money, num, percent, sats, signed, t, when } from '../i18n'
import { Do, Field, Icon, Note, Stars } from './bits'
import { costs } from './offers'
import { go } from './route'
import { NeedsWallet } from './wallet'

export function OfferPage({ server, id }: { server: string; id: string }): JSX.Element {
  marketTurn.value
  const found = offer(server, id)
  const o = useMemo(() => (found && market.ensure(found) ? found : undefined), [found])
  const own = views.value.find((v) => v.record.order === id && v.record.server === server && v.record.maker)
  return (
    <article>
      <a class="back" href="#/"><Icon name="back" />{t('nav.offers')}</a>
      {!o || !takeable(o, clock.value) ? <p class="empty">{t(market.loaded.size ? 'offer.gone' : 'book.loading')}</p> : <Offer o={o} own={own?.record.index} />}
    </article>
  )
}

function Offer({ o, own }: { o: Listed; own?: number | undefined }): JSX.Element {
  const buying = o.kind === 'sell'
  const info = infoOf(o.server)
  const range = isRange(o)
  const [typed, setTyped] = useState('')
  const fiat = range ? Number(typed) : o.fiat
  const badFiat = range && typed !== '' && !(Number.isInteger(fiat) && fiat >= o.min && fiat <= o.max)
  const price = ratesOf(o.server)?.get(o.currency)
  const amount = o.amount || (price && fiat > 0 ? quote(fiat, price, o.premium) : 0)
  const fee = info && amount ? fees(amount, info) : undefined
  const c = costs(o, range ? fiat : undefined)
  const approx = (s: string): string => (o.amount ? s : t('offer.approx', { what: s }))
  const mine = amount && fee ? (buying ? amount - fee.buyer : amount + fee.seller) : 0
  const known = host.value === o.server || views.value.some((v) => v.record.server === o.server && v.status === 'success')
  const outside = info && amount > 0 && ((info.minAmount && amount < info.minAmount) || (info.maxAmount && amount > info.maxAmount))
  return (
    <>
      <h1>{t(buying ? 'offer.buy' : 'offer.sell')}</h1>
      <div class="split">
        <section class="card">
          <dl class="sum">
            <div><dt>{t(buying ? 'offer.youpay' : 'offer.youget')}</dt><dd class="big">{range && fiat > 0 ? money(fiat, o.currency) : fiatRange(o)}</dd></div>
            <div><dt>{t(buying ? 'offer.youget' : 'offer.youlock')}</dt><dd class="big">{mine > 0 ? approx(sats(mine)) : t('common.market') + (o.premium ? ` ${signed(o.premium, 2)}` : '')}</dd></div>
            {c.price > 0 && <div><dt>{t('offer.price')}</dt><dd>{num(c.price, 2)} {o.currency}/BTC {c.over !== undefined && <span class="muted">{t('book.over', { pct: signed(c.over) })}</span>}</dd></div>}
            {fee && info && <div><dt>{t('offer.fee')}</dt><dd>{sats(buying ? fee.buyer : fee.seller)} <span class="muted">{percent(info.fee, 2)}, {t(info.feePayer === 'split' ? 'servers.fee.split' : 'servers.fee.seller')}</span></dd></div>}
            <div><dt>{t('book.method')}</dt><dd class="chips">{o.methods.map((m, i) => <span class="chip" key={i}>{m}</span>)}</dd></div>
            <div><dt>{t('offer.maker')}</dt><dd>{o.rating ? <Stars {...o.rating} /> : t('book.newtrader')}</dd></div>
            <div><dt>{t('book.server')}</dt><dd><a href={`#/servers/${o.server}`}>{serverName(o.server)}</a></dd></div>
            {o.expiresAt > 0 && <div><dt class="unseen">{t('offer.expires', { when: '' })}</dt><dd class="muted">{t('offer.expires', { when: when(o.expiresAt) })}</dd></div>}
          </dl>
          {!o.amount && <p class="hint">{price ? t('offer.marketnote') : t('offer.noprice', { currency: o.currency })}</p>}
          {!known && <Note kind="warn">{t('offer.newserver')}</Note>}
          {info?.bond && <Note kind="warn">{t('offer.bond')}</Note>}
          {outside && info && <Note kind="warn">{t('offer.limits', { min: num(info.minAmount), max: num(info.maxAmount) })}</Note>}
          <h2>{t('offer.next')}</h2>
          <ol class="steps">{([1, 2, 3] as const).map((n) => <li key={n}>{t(buying ? `offer.next.buy.${n}` : `offer.next.sell.${n}`)}</li>)}</ol>
        </section>
        <section class="takebox">
          {own !== undefined ? (
            <p class="card">{t('offer.own')} <a href={`#/trade/${own}`}>{t('trade.title')}</a></p>
          ) : (
            <NeedsWallet>{() => <Take o={o} fiat={range ? fiat : undefined} typed={typed} setTyped={setTyped} bad={badFiat} />}</NeedsWallet>
          )}
        </section>
      </div>
    </>
  )
}

function Take({ o, fiat, typed, setTyped, bad }: { o: Listed; fiat: number | undefined; typed: string; setTyped: (s: string) => void; bad: boolean }): JSX.Element {
  const buying = o.kind === 'sell'
  const [where, setWhere] = useState(trader.value?.account.payout ?? '')
  const d = where ? readDestination(where) : undefined
  const whereError = !where ? undefined : !d ? t('offer.where.bad') : d.type === 'bolt11' ? t('offer.where.noinvoice') : undefined
  const bounds = { currency: o.currency, min: num(o.min, 2), max: num(o.max, 2) }
  const take = async (): Promise<void> => {
    const r = await trader.value!.take({ ...o, methods: o.methods.join(',') }, fiat, buying && d ? d.text : undefined)
    go(`trade/${r.index}`)
  }
  return (
    <div class="card">
      {fiat !== undefined && (
        <Field label={t('offer.range', bounds)} error={bad ? t('offer.range.bad', bounds) : undefined}>
          {(a) => <input {...a} inputmode="numeric" value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />}
        </Field>
      )}
      {buying && (
        <Field label={`${t('offer.where')} (${t('common.optional')})`} hint={t('offer.where.hint')} error={whereError}>
          {(a) => <input {...a} autocapitalize="none" autocomplete="off" spellcheck={false} value={where} onInput={(e) => setWhere(e.currentTarget.value)} />}
        </Field>
      )}
      <Do class="primary wide" disabled={!!whereError || (fiat !== undefined && (typed === '' || bad))} run={take}>{t(buying ? 'offer.take.buy' : 'offer.take.sell')}</Do>
    </div>
  )
}
