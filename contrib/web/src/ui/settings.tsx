// Settings: look, relays, keys, backup, and the way to be rid of it all.

import type { ComponentChildren, JSX } from 'preact'
import { useState } from 'preact/hooks'
import { npubEncode } from 'nostr-tools/nip19'
import { lock, market, marketTurn, pool, serverName, trader, tradeTurn, walletState, wipe } from '../app/state'
import { change, isRelay, settings } from '../app/settings'
import { readDestination } from '../lib/money'
import { readConnection } from '../lib/nwc'
import { languages, t, type Language } from '../i18n'
import { Choice, confirm, Copy, Do, Field, Note } from './bits'
import { ChangePassphrase, Unlock } from './wallet'

export function SettingsPage(): JSX.Element {
  return (
    <article class="settings">
      <h1>{t('set.title')}</h1>
      <Look />
      <Relays />
      <Part title={t('set.keys')}>{walletState.value === 'open' ? <Keys /> : walletState.value === 'locked' ? <Unlock /> : <p class="muted">{t('set.keys.none')}</p>}</Part>
      {walletState.value === 'open' && <LightningWallet />}
      <FileServers />
      {walletState.value !== 'none' && <Danger />}
      <Part title={t('set.about')}><p class="muted">{t('set.about.say')} <a href="licences.txt">{t('set.about.licences')}</a></p></Part>
    </article>
  )
}

function Part({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return <section class="card"><h2>{title}</h2>{children}</section>
}

function Look(): JSX.Element {
  const s = settings.value
  const denied = typeof Notification === 'undefined' || Notification.permission === 'denied'
  const notify = async (on: boolean): Promise<void> => {
    change({ notify: on && typeof Notification !== 'undefined' && (await Notification.requestPermission()) === 'granted' })
  }
  return (
    <Part title={t('set.look')}>
      <Field label={t('set.language')}>
        {(a) => (
          <select {...a} value={s.language} onChange={(e) => change({ language: e.currentTarget.value as Language })}>
            {Object.entries(languages).map(([l, name]) => <option value={l} key={l} lang={l}>{name}</option>)}
          </select>
        )}
      </Field>
      <Choice label={t('set.theme')} value={s.theme} onPick={(theme) => change({ theme })} options={[['auto', t('set.theme.auto')], ['light', t('set.theme.light')], ['dark', t('set.theme.dark')]]} />
      <label class="tick"><input type="checkbox" checked={s.notify} disabled={denied} onChange={(e) => void notify(e.currentTarget.checked)} /><span>{t('set.notify.on')}</span></label>
      {denied && <p class="hint">{t('set.notify.denied')}</p>}
    </Part>
  )
}

function Relays(): JSX.Element {
  marketTurn.value
  const [typed, setTyped] = useState('')
  const [bad, setBad] = useState(false)
  const use = (relays: string[]): void => {
    change({ relays })
    pool.use(relays)
  }
  const add = (): void => {
    const url = typed.trim().replace(/\/+$/, '')
    if (!isRelay(url)) return setBad(true)
    use([...new Set([...settings.value.relays, url])].slice(0, 20))
    setTyped('')
  }
  return (
    <Part title={t('set.relays')}>
      <p class="muted">{t('set.relays.say')}</p>
      <ul class="list">
        {settings.value.relays.map((r) => {
          const state = pool.links.get(r)?.state ?? 'down'
          return (
            <li key={r}>
              <span class={`state ${state}`}>{t(`set.relays.state.${state}`)}</span>
              <span class="mono">{r}</span>
              <button type="button" class="link" aria-label={`${t('common.remove')} ${r}`} onClick={() => use(settings.value.relays.filter((x) => x !== r))}>{t('common.remove')}</button>
            </li>
          )
        })}
      </ul>
      <form class="inline" onSubmit={(e) => (e.preventDefault(), add())}>
        <Field label={t('set.relays.add')} error={bad ? t('set.relays.bad') : undefined}>
          {(a) => <input {...a} inputmode="url" autocapitalize="none" placeholder="wss://" value={typed} onInput={(e) => (setTyped(e.currentTarget.value), setBad(false))} />}
        </Field>
        <button class="quiet">{t('common.add')}</button>
      </form>
    </Part>
  )
}

function FileServers(): JSX.Element {
  const [typed, setTyped] = useState('')
  const [bad, setBad] = useState(false)
  const list = settings.value.blossom
  const add = (): void => {
    const u = URL.parse(typed.trim())
    if (!u || u.protocol !== 'https:') return setBad(true)
    change({ blossom: [u.origin, ...list.filter((x) => x !== u.origin)].slice(0, 10) })
    setTyped('')
  }
  return (
    <Part title={t('set.blossom')}>
      <p class="muted">{t('set.blossom.say')}</p>
      <ul class="list">
        {list.map((s) => (
          <li key={s}><span class="mono">{s}</span><button type="button" class="link" aria-label={`${t('common.remove')} ${s}`} onClick={() => change({ blossom: list.filter((x) => x !== s) })}>{t('common.remove')}</button></li>
        ))}
      </ul>
      <form class="inline" onSubmit={(e) => (e.preventDefault(), add())}>
        <Field label={t('set.blossom.add')} error={bad ? t('set.blossom.bad') : undefined}>
          {(a) => <input {...a} inputmode="url" autocapitalize="none" placeholder="https://" value={typed} onInput={(e) => (setTyped(e.currentTarget.value), setBad(false))} />}
        </Field>
        <button class="quiet">{t('common.add')}</button>
      </form>
    </Part>
  )
}

function Keys(): JSX.Element {
  tradeTurn.value
  const tr = trader.value!
  const [words, setWords] = useState(false)
  const show = async (): Promise<void> => {
    if (words || (await confirm({ title: t('set.words.show'), body: t('set.words.ask'), yes: t('common.continue') }))) setWords(!words)
  }
  const save = async (): Promise<void> => {
    const url = URL.createObjectURL(new Blob([await tr.vault.export()], { type: 'application/json' }))
    const a = document.createElement('a')
    a.href = url
    a.download = `mostro-backup-${new Date().toISOString().slice(0, 10)}.json`
    a.click()
    setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }
  return (
    <>
      <dl class="sum"><div><dt>{t('set.identity')}</dt><dd class="mono">{npubEncode(tr.ring.identity.pub)} <Copy text={npubEncode(tr.ring.identity.pub)} /></dd></div></dl>
      <Choice label={t('set.mode')} value={tr.account.private ? 'private' : 'reputation'} onPick={(m) => void tr.updateAccount((a) => (a.private = m === 'private'))} options={[['reputation', t('wallet.mode.reputation')], ['private', t('wallet.mode.private')]]} />
      <p class="hint">{t(tr.account.private ? 'wallet.mode.private.say' : 'wallet.mode.reputation.say')}</p>
      <div class="buttons">
        <Do class="quiet" run={show}>{t('set.words.show')}</Do>
        <Do class="quiet" run={save}>{t('set.export')}</Do>
        <button type="button" class="quiet" onClick={() => lock()}>{t('set.lock')}</button>
      </div>
      <p class="hint">{t('set.export.say')}</p>
      {words && <ol class="words">{tr.account.mnemonic.split(' ').map((w) => <li key={w}>{w}</li>)}</ol>}
      <Restore />
      <ChangePassphrase change={(p) => tr.vault.changePassphrase(p)} />
    </>
  )
}

function Restore(): JSX.Element {
  const servers = [...market.servers.keys()]
  const [server, setServer] = useState('')
  const [found, setFound] = useState<number | 'none'>()
  const chosen = server || servers[0]
  return (
    <div class="restore">
      <h3>{t('set.restore')}</h3>
      <p class="hint">{t('set.restore.say')}</p>
      <div class="inline">
        <Field label={t('book.server')}>
          {(a) => <select {...a} value={chosen} onChange={(e) => setServer(e.currentTarget.value)}>{servers.map((s) => <option value={s} key={s}>{serverName(s)}</option>)}</select>}
        </Field>
        <Do class="quiet" disabled={!chosen} run={async () => { setFound(undefined); setFound((await trader.value!.restore(chosen!)) ?? 'none') }}>{t('set.restore')}</Do>
      </div>
      {found !== undefined && <Note kind={found === 'none' ? 'warn' : 'good'} live>{found === 'none' ? t('set.restore.none') : t('set.restore.done', { n: found })}</Note>}
    </div>
  )
}

function LightningWallet(): JSX.Element {
  tradeTurn.value
  const tr = trader.value!
  const [uri, setURI] = useState('')
  const [payout, setPayout] = useState(tr.account.payout ?? '')
  const badURI = uri !== '' && !readConnection(uri)
  const d = payout ? readDestination(payout) : undefined
  const badPayout = payout !== '' && (!d || d.type === 'bolt11')
  return (
    <Part title={t('set.wallet')}>
      <div class="inline">
        <Field label={t('set.payout')} hint={t('set.payout.hint')} error={badPayout ? t('offer.where.bad') : undefined}>
          {(a) => <input {...a} autocapitalize="none" spellcheck={false} value={payout} onInput={(e) => setPayout(e.currentTarget.value)} />}
        </Field>
        <Do class="quiet" disabled={badPayout} run={() => tr.updateAccount((a) => (d ? (a.payout = d.text) : delete a.payout))}>{t('common.save')}</Do>
      </div>
      {tr.account.nwc ? (
        <div class="inline"><p>{t('set.nwc.on')}</p><Do class="quiet" run={() => tr.updateAccount((a) => delete a.nwc)}>{t('common.remove')}</Do></div>
      ) : (
        <div class="inline">
          <Field label={t('set.nwc')} hint={t('set.nwc.hint')} error={badURI ? t('set.nwc.bad') : undefined}>
            {(a) => <input {...a} type="password" autocomplete="off" value={uri} onInput={(e) => setURI(e.currentTarget.value)} />}
          </Field>
          <Do class="quiet" disabled={!uri || badURI} run={async () => { await tr.updateAccount((a) => (a.nwc = uri.trim())); setURI('') }}>{t('common.save')}</Do>
        </div>
      )}
    </Part>
  )
}

function Danger(): JSX.Element {
  const [typed, setTyped] = useState('')
  const word = t('set.wipe.theword')
  return (
    <section class="card dangerzone">
      <h2>{t('set.danger')}</h2>
      <p>{t('set.wipe.say')}</p>
      <div class="inline">
        <Field label={t('set.wipe.word', { word })}>{(a) => <input {...a} autocomplete="off" value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />}</Field>
        <Do class="danger solid" disabled={typed.trim().toUpperCase() !== word} run={wipe}>{t('set.wipe.do')}</Do>
      </div>
    </section>
  )
}
