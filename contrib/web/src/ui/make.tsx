// Making an order.

import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { host } from '../app/settings'
import { infoOf, market, marketTurn, ratesOf, serverName, trader } from '../app/state'
import { fees, quote, readDestination } from '../lib/money'
import { num, percent, sats, t, type Key } from '../i18n'
import { Choice, Do, Field, Note } from './bits'
import { go } from './route'
import { NeedsWallet } from './wallet'

export function MakePage(): JSX.Element {
  return (
    <article>
      <h1>{t('make.title')}</h1>
      <NeedsWallet>{() => <Make />}</NeedsWallet>
    </article>
  )
}

interface Draft {
  kind: 'buy' | 'sell'
  server: string
  currency: string
  pricing: 'market' | 'fixed'
  amounts: 'one' | 'range'
  fiat: string
  min: string
  max: string
  sats: string
  premium: string
  methods: string
  where: string
}

interface Faults {
  fiat?: string
  range?: string
  sats?: string
  premium?: string
  methods?: string
  currency?: string
  where?: string
}

const whole = (s: string): number => (/^-?\d{1,12}$/.test(s.trim().replace('−', '-')) ? Number(s.trim().replace('−', '-')) : NaN)

function judge(d: Draft): Faults {
  const f: Faults = {}
  const info = infoOf(d.server)
  if (!/^[A-Za-z]{3}$/.test(d.currency)) f.currency = t('make.err.currency')
  else if (info?.currencies.length && !info.currencies.includes(d.currency.toUpperCase())) f.currency = t('make.err.accepted', { currency: d.currency })
  if (d.amounts === 'one' || d.pricing === 'fixed') {
    if (!(whole(d.fiat) > 0)) f.fiat = t('make.err.fiat')
  } else if (!(whole(d.min) > 0) || !(whole(d.max) > whole(d.min))) f.range = t('make.err.range')
  if (d.pricing === 'fixed' && !(whole(d.sats) > 0)) f.sats = t('make.err.sats')
  if (d.pricing === 'market' && !(Math.abs(whole(d.premium || '0')) <= 99)) f.premium = t('make.err.premium')
  if (!d.methods.trim()) f.methods = t('make.err.methods')
  if (d.kind === 'buy' && d.where && readDestination(d.where)?.type !== 'address' && readDestination(d.where)?.type !== 'offer' && readDestination(d.where)?.type !== 'lnurl') f.where = t('offer.where.bad')
  return f
}

/** Sats of the order, or both ends of its range; undefined where no price is known. */
function amounts(d: Draft): number[] | undefined {
  if (d.pricing === 'fixed') return whole(d.sats) > 0 ? [whole(d.sats)] : undefined
  const price = ratesOf(d.server)?.get(d.currency.toUpperCase())
  const premium = whole(d.premium || '0')
  const list = d.amounts === 'one' ? [whole(d.fiat)] : [whole(d.min), whole(d.max)]
  if (!price || Number.isNaN(premium) || !list.every((n) => n > 0)) return undefined
  return list.map((n) => quote(n, price, premium))
}

function Make(): JSX.Element {
  marketTurn.value
  const known = [...market.servers.keys()]
  const first = host.value && known.includes(host.value) ? host.value : known[0]
  const [d, setDraft] = useState<Draft>({
    kind: 'sell', server: '', currency: 'EUR', pricing: 'market', amounts: 'one', fiat: '', min: '', max: '', sats: '', premium: '0', methods: '', where: trader.value?.account.payout ?? '',
  })
  const [shown, setShown] = useState(false)
  const draft = { ...d, server: d.server || (first ?? '') }
  const set = (part: Partial<Draft>): void => setDraft({ ...d, ...part })
  const faults = judge(draft)
  const show = (k: keyof Faults): string | undefined => (shown ? faults[k] : undefined)
  const info = infoOf(draft.server)
  const calc = amounts(draft)
  const outside = info && calc?.some((n) => (info.minAmount && n < info.minAmount) || (info.maxAmount && n > info.maxAmount))
  const range = d.pricing === 'market' && d.amounts === 'range'
  const publish = async (): Promise<void> => {
    setShown(true)
    if (Object.keys(faults).length > 0 || !draft.server) return
    const where = draft.kind === 'buy' && draft.where ? readDestination(draft.where)?.text : undefined
    const r = await trader.value!.newOrder(draft.server, {
      kind: draft.kind, currency: draft.currency.toUpperCase(), amount: d.pricing === 'fixed' ? whole(d.sats) : 0,
      fiat: range ? 0 : whole(d.fiat), min: range ? whole(d.min) : 0, max: range ? whole(d.max) : 0,
      premium: d.pricing === 'market' ? whole(d.premium || '0') : 0, methods: d.methods.split(',').map((m) => m.trim()).filter(Boolean).join(','),
      invoice: where,
    })
    go(`trade/${r.index}`)
  }
  if (!first) return <Note>{t('make.noserver')}</Note>
  const text = (k: keyof Draft, mode: 'numeric' | 'text' = 'numeric') => ({ value: d[k], inputmode: mode, autocomplete: 'off', onInput: (e: { currentTarget: HTMLInputElement }) => set({ [k]: e.currentTarget.value }) })
  return (
    <form class="card form" onSubmit={(e) => e.preventDefault()}>
      <Choice label={t('make.kind')} value={d.kind} onPick={(kind) => set({ kind })} options={[['sell', t('make.kind.sell')], ['buy', t('make.kind.buy')]]} />
      <Field label={t('make.server')} hint={info ? `${t('servers.fee')}: ${percent(info.fee, 2)}, ${t(info.feePayer === 'split' ? 'servers.fee.split' : 'servers.fee.seller')}` : undefined}>
        {(a) => (
          <select {...a} value={draft.server} onChange={(e) => set({ server: e.currentTarget.value })}>
            {known.map((s) => <option value={s} key={s}>{serverName(s)}</option>)}
          </select>
        )}
      </Field>
      <div class="fields">
        <Field label={t('make.currency')} error={show('currency')}>
          {(a) => <input {...a} {...text('currency', 'text')} maxLength={3} list="currencies" autocapitalize="characters" />}
        </Field>
        <datalist id="currencies">{[...(ratesOf(draft.server)?.keys() ?? [])].sort().map((c) => <option value={c} key={c} />)}</datalist>
        <Field label={t('make.methods')} hint={t('make.methods.hint')} error={show('methods')}>
          {(a) => <input {...a} {...text('methods', 'text')} maxLength={200} />}
        </Field>
      </div>
      <Choice label={t('make.pricing')} value={d.pricing} onPick={(pricing) => set({ pricing })} options={[['market', t('make.pricing.market')], ['fixed', t('make.pricing.fixed')]]} />
      {d.pricing === 'market' && <Choice label={t('make.amountkind')} value={d.amounts} onPick={(amounts) => set({ amounts })} options={[['one', t('make.one')], ['range', t('make.range')]]} />}
      <div class="fields">
        {range ? (
          <>
            <Field label={`${t('make.min')} (${d.currency.toUpperCase()})`} error={show('range')}>{(a) => <input {...a} {...text('min')} />}</Field>
            <Field label={`${t('make.max')} (${d.currency.toUpperCase()})`}>{(a) => <input {...a} {...text('max')} />}</Field>
          </>
        ) : (
          <Field label={t('make.fiat', { currency: d.currency.toUpperCase() })} error={show('fiat')}>{(a) => <input {...a} {...text('fiat')} />}</Field>
        )}
        {d.pricing === 'fixed' ? (
          <Field label={t('make.sats')} error={show('sats')}>{(a) => <input {...a} {...text('sats')} />}</Field>
        ) : (
          <Field label={t('make.premium')} hint={t(`make.premium.hint.${d.kind}` as Key)} error={show('premium')}>{(a) => <input {...a} {...text('premium', 'text')} />}</Field>
        )}
      </div>
      {d.kind === 'buy' && (
        <Field label={`${t('offer.where')} (${t('common.optional')})`} hint={t('offer.where.hint')} error={show('where')}>
          {(a) => <input {...a} {...text('where', 'text')} autocapitalize="none" spellcheck={false} />}
        </Field>
      )}
      <Preview d={draft} calc={calc} />
      {outside && info && <Note kind="warn">{t('make.err.limits', { min: num(info.minAmount), max: num(info.maxAmount) })}</Note>}
      <Do class="primary wide" disabled={!draft.server} run={publish}>{t('make.publish')}</Do>
    </form>
  )
}

function Preview({ d, calc }: { d: Draft; calc: number[] | undefined }): JSX.Element | null {
  const info = infoOf(d.server)
  if (!calc || !info) return null
  const each = (f: (n: number) => number): string => {
    const s = calc.map((n) => num(f(n))).join('–') + ' ' + t('common.sats')
    return d.pricing === 'fixed' ? s : t('offer.approx', { what: s })
  }
  return (
    <dl class="sum preview" aria-label={t('make.preview')}>
      <div>
        <dt>{t(d.kind === 'sell' ? 'offer.youlock' : 'offer.youget')}</dt>
        <dd class="big">{each((n) => (d.kind === 'sell' ? n + fees(n, info).seller : n - fees(n, info).buyer))}</dd>
      </div>
      <div><dt>{t('offer.fee')}</dt><dd>{each((n) => (d.kind === 'sell' ? fees(n, info).seller : fees(n, info).buyer))}</dd></div>
      {d.pricing === 'fixed' && whole(d.fiat) > 0 && <div><dt>{t('make.pricing')}</dt><dd>{num((whole(d.fiat) / calc[0]!) * 1e8)} {d.currency.toUpperCase()}/BTC</dd></div>}
      {d.pricing === 'market' && <div><dt>{t('common.market')}</dt><dd>{num(ratesOf(d.server)?.get(d.currency.toUpperCase()) ?? 0)} {d.currency.toUpperCase()}/BTC</dd></div>}
      <div><dt class="unseen">{t('book.server')}</dt><dd class="muted">{sats(info.minAmount)} – {sats(info.maxAmount)}</dd></div>
    </dl>
  )
}
