// Making, opening and importing keys.

import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { createWallet, openBackup, unlock, walletState } from '../app/state'
import { newMnemonic, readMnemonic } from '../lib/keys'
import { WrongPassphrase } from '../lib/vault'
import { t } from '../i18n'
import { Choice, Copy, Do, Field } from './bits'

/** Shows what it holds once the wallet is open, and the way to that until then. */
export function NeedsWallet({ children }: { children: () => JSX.Element }): JSX.Element {
  switch (walletState.value) {
    case 'open': return children()
    case 'locked': return <Unlock />
    case 'none': return <NewWallet />
    case 'looking': return <p class="muted">{t('common.working')}</p>
  }
}

export function Unlock(): JSX.Element {
  const [pass, setPass] = useState('')
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const open = async (): Promise<void> => {
    setBusy(true)
    setError('')
    try {
      await unlock(pass)
    } catch (e) {
      setError(e instanceof WrongPassphrase ? t('wallet.pass.wrong') : t('common.error', { what: String(e) }))
      setBusy(false)
    }
  }
  return (
    <form class="card narrow" onSubmit={(e) => (e.preventDefault(), void open())}>
      <h2>{t('wallet.unlock')}</h2>
      <p class="muted">{t('trades.locked')}</p>
      <Field label={t('wallet.pass')} error={error}>
        {(a) => <input {...a} type="password" autocomplete="current-password" value={pass} onInput={(e) => setPass(e.currentTarget.value)} />}
      </Field>
      <button class="primary wide" disabled={busy || !pass}>{busy ? t('wallet.opening') : t('wallet.unlock.do')}</button>
      <p class="hint">{t('wallet.forgot')}</p>
    </form>
  )
}

type Way = 'create' | 'import' | 'file'

export function NewWallet(): JSX.Element {
  const [way, setWay] = useState<Way>('create')
  const [words] = useState(newMnemonic)
  const [typed, setTyped] = useState('')
  const [file, setFile] = useState('')
  const [mode, setMode] = useState<'reputation' | 'private'>('reputation')
  const [pass, setPass] = useState('')
  const [pass2, setPass2] = useState('')
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const save = async (): Promise<void> => {
    if (way !== 'file' && pass.length < 8) return setError(t('wallet.pass.short'))
    if (way !== 'file' && pass !== pass2) return setError(t('wallet.pass.differ'))
    if (way === 'import' && !readMnemonic(typed)) return setError(t('wallet.words.bad'))
    if (way === 'file' && !file) return setError(t('wallet.file.bad'))
    setBusy(true)
    setError('')
    try {
      if (way === 'file') await openBackup(file, pass)
      else await createWallet(way === 'create' ? words : typed, pass, mode === 'private')
    } catch (e) {
      setError(e instanceof WrongPassphrase ? t('wallet.pass.wrong') : way === 'file' ? t('wallet.file.bad') : t('common.error', { what: String(e) }))
      setBusy(false)
    }
  }
  return (
    <form class="card narrow" onSubmit={(e) => (e.preventDefault(), void save())}>
      <h2>{t('wallet.new.title')}</h2>
      <p class="muted">{t('wallet.new.say')}</p>
      <Choice label={t('wallet.new.title')} hide value={way} onPick={(w) => (setWay(w), setError(''))} options={[['create', t('wallet.new.create')], ['import', t('wallet.new.import')], ['file', t('wallet.new.file')]]} />
      {way === 'create' && (
        <section aria-labelledby="words">
          <h3 id="words">{t('wallet.words')}</h3>
          <ol class="words">{words.split(' ').map((w) => <li key={w}>{w}</li>)}</ol>
          <p class="hint">{t('wallet.words.say')}</p>
          <Copy text={words} />
        </section>
      )}
      {way === 'import' && (
        <Field label={t('wallet.words.enter')}>
          {(a) => <textarea {...a} rows={3} autocomplete="off" autocapitalize="none" spellcheck={false} value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />}
        </Field>
      )}
      {way === 'file' && (
        <Field label={t('wallet.file')}>
          {(a) => <input {...a} type="file" accept=".json,application/json" onChange={(e) => void e.currentTarget.files?.[0]?.text().then(setFile)} />}
        </Field>
      )}
      {way !== 'file' && (
        <Choice label={t('wallet.mode')} value={mode} onPick={setMode} options={[['reputation', t('wallet.mode.reputation')], ['private', t('wallet.mode.private')]]} />
      )}
      {way !== 'file' && <p class="hint">{t(mode === 'private' ? 'wallet.mode.private.say' : 'wallet.mode.reputation.say')}</p>}
      <Field label={t('wallet.pass')} hint={way === 'file' ? undefined : t('wallet.pass.hint')}>
        {(a) => <input {...a} type="password" autocomplete={way === 'file' ? 'current-password' : 'new-password'} value={pass} onInput={(e) => setPass(e.currentTarget.value)} />}
      </Field>
      {way !== 'file' && (
        <Field label={t('wallet.pass2')}>
          {(a) => <input {...a} type="password" autocomplete="new-password" value={pass2} onInput={(e) => setPass2(e.currentTarget.value)} />}
        </Field>
      )}
      {error && <p class="error" role="alert">{error}</p>}
      <button class="primary wide" disabled={busy}>{busy ? t('wallet.opening') : t('wallet.create')}</button>
    </form>
  )
}

export function ChangePassphrase({ change }: { change: (pass: string) => Promise<void> }): JSX.Element {
  const [pass, setPass] = useState('')
  const [done, setDone] = useState(false)
  return (
    <div class="inline">
      <Field label={t('set.pass.change')} hint={t('wallet.pass.hint')}>
        {(a) => <input {...a} type="password" autocomplete="new-password" value={pass} onInput={(e) => (setPass(e.currentTarget.value), setDone(false))} />}
      </Field>
      <Do class="quiet" disabled={pass.length < 8} run={async () => { await change(pass); setPass(''); setDone(true) }}>
        {done ? t('common.saved') : t('common.save')}
      </Do>
    </div>
  )
}
