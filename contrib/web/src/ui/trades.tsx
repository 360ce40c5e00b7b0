// The list of the user's trades.

import type { JSX } from 'preact'
import { clock, finished, serverName, trader, tradeTurn, views } from '../app/state'
import type { TradeView } from '../lib/trade'
import { ago, fiatRange, span, t, tOr } from '../i18n'
import { NeedsWallet } from './wallet'

export function headline(v: TradeView): string {
  const base = `head.${v.status}`
  return tOr(v.record.side === 'seller' ? `${base}.seller` : base, `head.${v.status}`)
}

export function TradesPage(): JSX.Element {
  return (
    <article>
      <h1>{t('trades.title')}</h1>
      <NeedsWallet>{() => <Trades />}</NeedsWallet>
    </article>
  )
}

function Trades(): JSX.Element {
  tradeTurn.value
  const open = views.value.filter((v) => v.live)
  const past = views.value.filter((v) => !v.live)
  if (views.value.length === 0) return <p class="empty">{t('trades.empty')}</p>
  return (
    <>
      {open.length > 0 && <List title={t('trades.open')} views={open} />}
      {past.length > 0 && <List title={t('trades.past')} views={past} />}
    </>
  )
}

function List({ title, views }: { title: string; views: TradeView[] }): JSX.Element {
  return (
    <section>
      <h2>{title}</h2>
      <ul class="trades">{views.map((v) => <li key={v.record.index}><Row v={v} /></li>)}</ul>
    </section>
  )
}

function Row({ v }: { v: TradeView }): JSX.Element {
  const unread = trader.value?.unread(v.record.index) ?? 0
  return (
    <a class={`trade-row ${v.live && v.turn === 'me' ? 'mine' : ''}`} href={`#/trade/${v.record.index}`}>
      <span class={`side ${v.record.side}`}>{t(v.record.side === 'buyer' ? 'trade.buying' : 'trade.selling')}</span>
      <span class="what">
        <b>{fiatRange(v.terms)}</b>
        <span class="muted">{headline(v)}</span>
      </span>
      <span class="rest">
        {v.live && v.turn === 'me' && <span class="badge">{t('trades.yourturn')}</span>}
        {unread > 0 && <span class="badge chat">{t('trades.unread', { n: unread })}</span>}
        <span class="muted">{v.live && v.deadline && !finished(v) ? t('trade.left', { time: span(v.deadline - clock.value) }) : ago(clock.value - v.lastAt)} · {serverName(v.record.server)}</span>
      </span>
    </a>
  )
}
