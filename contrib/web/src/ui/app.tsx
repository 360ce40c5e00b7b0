// The frame around every screen.

import type { JSX } from 'preact'
import { market, marketTurn, online, pool, trader, tradeTurn, views, waitingForMe } from '../app/state'
import { settings } from '../app/settings'
import { clockFault } from '../lib/trader'
import { span, t, type Key } from '../i18n'
import { Dialogs, Icon } from './bits'
import { MakePage } from './make'
import { OfferPage } from './offer'
import { Offers } from './offers'
import { route } from './route'
import { ServersPage } from './servers'
import { SettingsPage } from './settings'
import { TradePage } from './trade'
import { TradesPage } from './trades'

const tabs: [string, Key, 'offers' | 'trades' | 'plus' | 'servers' | 'settings'][] = [
  ['', 'nav.offers', 'offers'], ['trades', 'nav.trades', 'trades'], ['new', 'nav.new', 'plus'], ['servers', 'nav.servers', 'servers'], ['settings', 'nav.settings', 'settings'],
]

function Screen(): JSX.Element {
  const [page, a, b] = route.value
  switch (page) {
    case 'offer': return <OfferPage server={a ?? ''} id={b ?? ''} key={b ?? ''} />
    case 'new': return <MakePage />
    case 'trades': return <TradesPage />
    case 'trade': return <TradePage index={Number(a)} key={a ?? ''} />
    case 'servers': return <ServersPage only={a} />
    case 'settings': return <SettingsPage />
    default: return <Offers />
  }
}

function Nav(): JSX.Element {
  tradeTurn.value
  const [page] = route.value
  const now = page === 'offer' ? '' : page === 'trade' ? 'trades' : (page ?? '')
  const unread = views.value.reduce((n, v) => n + (trader.value?.unread(v.record.index) ?? 0), 0)
  const waiting = waitingForMe.value + unread
  return (
    <nav aria-label={t('nav.main')}>
      {tabs.map(([path, key, icon]) => (
        <a href={`#/${path}`} key={path} {...(path === now ? { 'aria-current': 'page' as const } : {})}>
          <Icon name={icon} />
          <span>{t(key)}</span>
          {path === 'trades' && waiting > 0 && <b class="count">{waiting}</b>}
        </a>
      ))}
    </nav>
  )
}

function RelayState(): JSX.Element {
  marketTurn.value
  const all = settings.value.relays.length
  const up = pool.up
  return (
    <a href="#/settings" class={`relays ${up === 0 ? 'down' : up < all ? 'some' : 'up'}`} title={t('set.relays')}>
      <i aria-hidden="true" />
      <span>{up === 0 ? t('relays.none') : t('relays.up', { up, all })}</span>
    </a>
  )
}

/** A clock that is wrong makes servers pass over what is sent. */
function ClockState(): JSX.Element | null {
  marketTurn.value
  const off = Math.abs(market.skew)
  return off > clockFault ? <p class="offline" role="status">{t('clock.off', { time: span(off) })}</p> : null
}

export function App(): JSX.Element {
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), document.getElementById('main')?.focus())}>{t('app.skip')}</a>
      <header class="top">
        <a class="brand" href="#/" aria-label={t('app.name')}><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9" /><path d="M8 22V11l8 7 8-7v11" /></svg><span>{t('app.name')}</span></a>
        <Nav />
        <RelayState />
      </header>
      {!online.value && <p class="offline" role="status">{t('relays.offline')}</p>}
      <ClockState />
      <main id="main" tabIndex={-1}><Screen /></main>
      <Dialogs />
    </>
  )
}
