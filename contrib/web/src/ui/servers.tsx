// The servers that are heard on the relays, side by side.

import type { JSX } from 'preact'
import { npubEncode } from 'nostr-tools/nip19'
import { clock, market, marketTurn, serverName, views } from '../app/state'
import { change, host, settings } from '../app/settings'
import { takeable } from '../lib/book'
import { aliveWithin, type Server } from '../lib/market'
import { ago, num, percent, sats, span, t } from '../i18n'
import { Copy, Field, Icon } from './bits'
import { showOnly } from './offers'
import { go } from './route'

export function ServersPage({ only }: { only?: string | undefined }): JSX.Element {
  marketTurn.value
  const list = [...market.servers.values()].filter((s) => !only || s.info.pubkey === only).sort((a, b) => offers(b) - offers(a) || b.info.at - a.info.at)
  return (
    <article>
      {only && <a class="back" href="#/servers"><Icon name="back" />{t('servers.title')}</a>}
      <h1>{only ? serverName(only) : t('servers.title')}</h1>
      {!only && <p class="muted lead">{t('servers.say')}</p>}
      {list.length === 0 ? <p class="empty">{t('servers.empty')}</p> : <div class="servers">{list.map((s) => <Card s={s} full={!!only} key={s.info.pubkey} />)}</div>}
    </article>
  )
}

function offers(s: Server): number {
  let n = 0
  for (const o of market.offers.values()) if (o.server === s.info.pubkey && takeable(o, clock.peek())) n++
  return n
}

function Card({ s, full }: { s: Server; full: boolean }): JSX.Element {
  const { info } = s
  const alive = info.at > clock.value - aliveWithin
  const hidden = settings.value.hidden.includes(info.pubkey)
  const mine = views.value.filter((v) => v.record.server === info.pubkey)
  const toggle = (): void => change({ hidden: hidden ? settings.value.hidden.filter((x) => x !== info.pubkey) : [...settings.value.hidden, info.pubkey] })
  const rows: [string, JSX.Element | string][] = [
    [t('servers.fee'), `${percent(info.fee, 2)} · ${t(info.feePayer === 'split' ? 'servers.fee.split' : 'servers.fee.seller')}`],
    [t('servers.limits'), `${num(info.minAmount)} – ${sats(info.maxAmount)}`],
    [t('servers.open'), num(offers(s))],
    [t('servers.uptime'), s.samples >= 3 ? t('servers.uptime.say', { pct: percent(s.fresh / s.samples), n: num(s.samples) }) : t('servers.uptime.new')],
    [t('servers.currencies'), info.currencies.slice(0, 30).join(', ') || t('servers.currencies.all')],
  ]
  if (mine.length > 0) rows.push([t('servers.mine'), t('servers.mine.say', { done: mine.filter((v) => v.status === 'success').length, all: mine.length })])
  if (full) {
    const disputes = [...market.disputes.values()].filter((d) => d.server === info.pubkey).length
    rows.push(
      [t('servers.last'), ago(clock.value - info.at)],
      [t('servers.version'), info.version || t('common.unknown')],
      [t('servers.protocol'), t(`servers.protocol.${info.way}`)],
      [t('servers.wait'), info.waitSeconds ? span(info.waitSeconds) : t('common.unknown')],
      [t('servers.hold'), info.holdBlocks ? t('servers.hold.say', { n: num(info.holdBlocks), time: span(info.holdBlocks * 600) }) : t('common.unknown')],
      [t('servers.bond'), t(info.bond ? 'common.yes' : 'common.no')],
      [t('servers.work'), t('servers.work.say', { n: info.work })],
      [t('servers.disputes'), num(disputes)],
      [t('servers.network'), info.networks || t('common.unknown')],
      [t('servers.node'), <span class="mono">{info.nodeAlias} {info.nodeVersion}<br />{info.nodeKey}</span>],
      [t('servers.key'), <span class="mono">{npubEncode(info.pubkey)} <Copy text={npubEncode(info.pubkey)} /></span>],
    )
  }
  return (
    <section class={`card server ${hidden ? 'dim' : ''}`} aria-label={serverName(info.pubkey)}>
      <header>
        {!full && <h2>{serverName(info.pubkey)}</h2>}
        <span class={`state ${alive ? 'up' : 'down'}`}>{t(alive ? 'servers.alive' : 'servers.silent')}</span>
        {host.value === info.pubkey && <span class="badge">{t('servers.host')}</span>}
        {hidden && <span class="badge">{t('servers.hidden')}</span>}
      </header>
      <dl class="sum">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
      {full && (
        <Field label={t('servers.transport')}>
          {(a) => (
            <select {...a} value={String(settings.value.ways[info.pubkey] ?? '')} onChange={(e) => {
              const { [info.pubkey]: _, ...ways } = settings.value.ways
              const v = e.currentTarget.value
              change({ ways: v === '1' || v === '2' ? { ...ways, [info.pubkey]: Number(v) as 1 | 2 } : ways })
            }}>
              <option value="">{t('servers.transport.auto')}</option>
              <option value="1">{t('servers.protocol.1')}</option>
              <option value="2">{t('servers.protocol.2')}</option>
            </select>
          )}
        </Field>
      )}
      <div class="buttons">
        {!full && <a class="button quiet" href={`#/servers/${info.pubkey}`}>{t('servers.details')}</a>}
        <button type="button" class="quiet" onClick={() => (showOnly(info.pubkey), go(''))}>{t('servers.only')}</button>
        <button type="button" class="link" onClick={toggle}>{t(hidden ? 'servers.show' : 'servers.hide')}</button>
      </div>
    </section>
  )
}
