// One trade: what happened, whose turn it is, what to do, and what happens when time runs out.

import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { clock, connectedWallet, serverName, trader, tradeTurn, views, webln } from '../app/state'
import { judgePayout, readDestination, readInvoice } from '../lib/money'
import type { Entry, TradeView } from '../lib/trade'
import { shortChanged } from '../lib/trade'
import { patience } from '../lib/trader'
import { ago, fiatRange, money, num, percent, sats, span, t, tOr, when, type Key } from '../i18n'
import { confirm, Copy, Do, Field, Icon, Note, QR, Stars } from './bits'
import { Chat } from './chat'
import { headline } from './trades'
import { NeedsWallet } from './wallet'
import { go } from './route'

export function TradePage({ index }: { index: number }): JSX.Element {
  return (
    <article>
      <a class="back" href="#/trades"><Icon name="back" />{t('trades.title')}</a>
      <NeedsWallet>{() => <Found index={index} />}</NeedsWallet>
    </article>
  )
}

function Found({ index }: { index: number }): JSX.Element {
  tradeTurn.value
  const v = views.value.find((x) => x.record.index === index)
  return v ? <Trade v={v} key={index} /> : <p class="empty">{t('trade.notfound')}</p>
}

const fiatOf = (v: TradeView): string => fiatRange(v.terms)

function Trade({ v }: { v: TradeView }): JSX.Element {
  const selling = v.record.side === 'seller'
  return (
    <>
      <header class="trade-head">
        <p class="eyebrow"><span class={`side ${v.record.side}`}>{t(selling ? 'trade.selling' : 'trade.buying')}</span> {fiatOf(v)} · {serverName(v.record.server)}</p>
        <h1 data-status={v.status}>{headline(v)}</h1>
        <Turn v={v} />
      </header>
      <div class="split">
        <div>
          <section class="card action" aria-label={headline(v)}>
            <Say v={v} />
            <Trouble v={v} />
            {v.needs.includes('answer-cancel') && <AnswerCancel v={v} />}
            {v.cancelAskedBy === 'me' && v.live && <Note>{t('act.coop.asked')}</Note>}
            {v.needs.includes('pay-bond') && <PayBond v={v} />}
            {v.needs.includes('pay-invoice') && <PayHold v={v} />}
            {(v.needs.includes('give-invoice') || v.needs.includes('replace-invoice')) && <GiveInvoice v={v} />}
            {v.needs.includes('give-bond-invoice') && <GiveBondInvoice v={v} />}
            {v.can.has('fiat-sent') && <FiatSent v={v} />}
            {v.can.has('release') && <Release v={v} />}
            {v.needs.includes('rate') && <Rate v={v} />}
            {v.rated !== undefined && <p class="muted">{t('act.rate.done', { n: v.rated })}</p>}
            <Exits v={v} />
          </section>
          {v.can.has('chat') && (v.peer || v.solver) && <Chat v={v} />}
        </div>
        <aside>
          <Timeline v={v} />
          <Details v={v} />
        </aside>
      </div>
    </>
  )
}

function Turn({ v }: { v: TradeView }): JSX.Element {
  const left = v.deadline ? v.deadline - clock.value : undefined
  const then: Key | undefined = v.then === 'reopen' || v.then === 'cancel' ? `then.${v.then}.${v.turn === 'me' ? 'me' : 'peer'}` : v.then && `then.${v.then}`
  return (
    <div class="turn" role="status">
      <span class={`badge ${v.live && v.turn === 'me' ? 'me' : ''}`}>{t(`trade.turn.${v.live || v.turn === 'nobody' ? v.turn : 'nobody'}`)}</span>
      {left !== undefined && v.live && (
        <span class={left < 300 ? 'late' : 'muted'}><Icon name="clock" /> {left > 0 ? t('trade.left', { time: span(left) }) : t('trade.over')} <small>({when(v.deadline!)})</small></span>
      )}
      {left !== undefined && v.live && then && <p class="hint">{t(then)}</p>}
    </div>
  )
}

function Say({ v }: { v: TradeView }): JSX.Element {
  const seller = v.record.side === 'seller' ? '.seller' : ''
  const base = v.status === 'settled' && v.payoutFailed && !seller ? 'say.settled.replace' : `say.${v.status}${seller}`
  const words = { sats: num(v.gets ?? v.terms.amount), fiat: fiatOf(v), methods: v.terms.methods.split(',').join(', ') }
  return <p class="lead">{tOr(base, `say.${v.status}` as Key, words)}</p>
}

export const actionName = (action: string): string => tOr('did.' + action, 'did.other', { action })
const reasonWords = (reason: string): string => (reason ? tOr('why.' + reason, 'why.other', { reason }) : t('why.none'))

/** What was refused, not answered, or not even sent. */
function Trouble({ v }: { v: TradeView }): JSX.Element | null {
  const { refusal, unanswered } = v
  const retry = (): Promise<unknown> => {
    const { terms, kind, index } = v.record
    return trader.value!.retry(index, { ...terms, kind })
  }
  if (refusal) return <Note kind="bad" live>{t('trade.refused', { action: actionName(refusal.action), why: reasonWords(refusal.reason) })}</Note>
  if (!unanswered || !v.live) return null
  const action = actionName(unanswered.action)
  if (unanswered.fault) {
    return (
      <Note kind="bad" live>
        <p>{t('trade.unsent', { action, why: tOr('fault.' + unanswered.fault, 'fault.other', { what: unanswered.fault }) })}</p>
        <Do class="quiet" run={retry}>{t('trade.retry')}</Do>
      </Note>
    )
  }
  if (clock.value - unanswered.at < patience / 1000) return <p class="muted busy"><span class="spin" /> {t('common.working')}</p>
  return (
    <Note kind="warn" live>
      <p>{t('trade.unanswered', { action })}</p>
      <Do class="quiet" run={retry}>{t('trade.retry')}</Do>
    </Note>
  )
}

// ---- paying

function PayHold({ v }: { v: TradeView }): JSX.Element {
  if (v.fault) return <Note kind="bad" live><p><b>{t(`pay.fault.${v.fault}`)}</b></p><p>{t('pay.why')}</p></Note>
  return <Pay v={v} invoice={v.invoice!} amount={v.locks ?? 0} title={t('pay.title')} />
}

function PayBond({ v }: { v: TradeView }): JSX.Element {
  const i = v.bondInvoice ? readInvoice(v.bondInvoice) : undefined
  if (!i || i.msat !== BigInt(v.bondAmount ?? 0) * 1000n) return <Note kind="bad" live>{t(i ? 'pay.fault.not-as-said' : 'pay.fault.unreadable')}</Note>
  return <Pay v={v} invoice={v.bondInvoice!} amount={v.bondAmount ?? 0} title={t('act.bond.pay')} />
}

function Pay({ v, invoice, amount, title }: { v: TradeView; invoice: string; amount: number; title: string }): JSX.Element {
  const [fault, setFault] = useState('')
  const hash = readInvoice(invoice)!.hash
  const started = v.record.paying === hash
  const { index } = v.record
  // A held payment is answered when the trade ends, so nothing waits for it here; only a failure is told.
  const by = (pay: () => Promise<unknown>) => async (): Promise<void> => {
    setFault('')
    if (!(await trader.value!.startPaying(index, hash))) return
    pay().catch((e: unknown) => {
      setFault(e instanceof Error ? e.message : String(e))
      void trader.value?.stopPaying(index)
    })
  }
  return (
    <section class="pay" aria-label={title}>
      <h2>{title}</h2>
      <p class="big">{t('pay.amount', { sats: num(amount) })}</p>
      {started ? (
        <Note kind="good" live>
          <p>{t('pay.started')}</p>
          <button type="button" class="link" onClick={() => void trader.value?.stopPaying(index)}>{t('pay.again')}</button>
        </Note>
      ) : (
        <>
          <QR text={`lightning:${invoice}`.toUpperCase()} label={t('pay.qr')} />
          <code class="invoice" data-invoice={invoice}>{invoice}</code>
          <div class="buttons">
            <a class="button primary" href={`lightning:${invoice}`}>{t('pay.open')}</a>
            <Copy text={invoice} />
            {webln() && <Do class="quiet" run={by(async () => { await webln()!.enable(); await webln()!.sendPayment(invoice) })}>{t('pay.webln')}</Do>}
            {trader.value?.account.nwc && <Do class="quiet" run={by(() => connectedWallet()!.pay(invoice))}>{t('pay.nwc')}</Do>}
          </div>
        </>
      )}
      {fault && <p class="error" role="alert">{t('pay.failed', { what: fault })}</p>}
    </section>
  )
}

// ---- being paid

function GiveInvoice({ v }: { v: TradeView }): JSX.Element {
  const want = v.gets ?? v.terms.amount
  return (
    <>
      {shortChanged(v) && <Note kind="bad" live>{t('invoice.short', { gets: num(v.gets ?? 0), agreed: num(v.record.terms.amount) })}</Note>}
      <InvoiceForm v={v} want={want} send={(text) => trader.value!.addInvoice(v.record.index, text)} />
    </>
  )
}

function GiveBondInvoice({ v }: { v: TradeView }): JSX.Element {
  const want = v.bondShare ?? 0
  return (
    <>
      <Note>{t('act.bondshare', { sats: num(want) })}</Note>
      <InvoiceForm v={v} want={want} send={(text) => trader.value!.addBondInvoice(v.record.index, text)} />
    </>
  )
}

function InvoiceForm({ v, want, send }: { v: TradeView; want: number; send: (text: string) => Promise<unknown> }): JSX.Element {
  const [text, setText] = useState('')
  const info = v.record.info ?? { networks: '', invoiceWindow: 0 }
  const d = text ? readDestination(text) : undefined
  const saved = trader.value?.account.payout
  const fault = (): string | undefined => {
    if (!text) return undefined
    if (!d) return t('invoice.bad')
    if (d.type !== 'bolt11') return undefined
    const f = judgePayout(d.invoice, want, info, clock.value)
    return f && t(`invoice.${f}`, { sats: num(want), time: span(info.invoiceWindow) })
  }
  const error = fault()
  return (
    <div class="giveinvoice">
      <Field label={t('invoice.label')} hint={t('invoice.hint', { sats: num(want) })} error={error}>
        {(a) => <textarea {...a} rows={3} autocapitalize="none" autocomplete="off" spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />}
      </Field>
      <div class="buttons">
        <Do class="primary" disabled={!d || !!error} run={() => send(d!.text)}>{t('invoice.send')}</Do>
        {saved && <Do class="quiet" run={() => send(saved)}>{t('invoice.saved', { what: saved.length > 30 ? saved.slice(0, 30) + '…' : saved })}</Do>}
        {webln() && want > 0 && <Do class="quiet" run={async () => { await webln()!.enable(); setText((await webln()!.makeInvoice({ amount: want })).paymentRequest) }}>{t('invoice.webln')}</Do>}
        {trader.value?.account.nwc && want > 0 && <Do class="quiet" run={async () => setText(await connectedWallet()!.invoice(want, ''))}>{t('invoice.nwc')}</Do>}
      </div>
    </div>
  )
}

// ---- steps

function FiatSent({ v }: { v: TradeView }): JSX.Element {
  const run = async (): Promise<void> => {
    if (await confirm({ title: t('act.fiat-sent'), body: t('act.fiat-sent.ask', { fiat: fiatOf(v) }), yes: t('act.fiat-sent.yes') })) await trader.value!.fiatSent(v.record.index)
  }
  return <Do class="primary wide" run={run}>{t('act.fiat-sent')}</Do>
}

function Release({ v }: { v: TradeView }): JSX.Element {
  const run = async (): Promise<void> => {
    const ok = await confirm({
      title: t('act.release'), body: t('act.release.ask', { sats: num(v.terms.amount || (v.locks ?? 0)) }), yes: t('act.release.hold'), danger: true,
      checks: [t('act.release.check1'), t('act.release.check2', { fiat: fiatOf(v) })],
    })
    if (ok) await trader.value!.release(v.record.index)
  }
  return <Do class={v.needs.includes('release') ? 'primary wide' : 'quiet wide'} run={run}>{t('act.release')}</Do>
}

function AnswerCancel({ v }: { v: TradeView }): JSX.Element {
  const run = async (): Promise<void> => {
    const body = t(v.record.side === 'buyer' ? 'act.coop.agree.ask.buyer' : 'act.coop.agree.ask.seller')
    if (await confirm({ title: t('act.coop.agree'), body, yes: t('act.coop.agree'), danger: true })) await trader.value!.cancel(v.record.index)
  }
  return (
    <Note kind="warn" live>
      <p>{t('act.coop.answer')}</p>
      <Do class="danger" run={run}>{t('act.coop.agree')}</Do>
    </Note>
  )
}

function Rate({ v }: { v: TradeView }): JSX.Element {
  const [stars, setStars] = useState(0)
  return (
    <fieldset class="stars">
      <legend>{t('act.rate')}</legend>
      <p class="hint">{t('act.rate.ask')}</p>
      <div class="starrow">
        {[1, 2, 3, 4, 5].map((n) => (
          <label class={n <= stars ? 'on' : ''} key={n}>
            <input type="radio" name="stars" value={n} checked={stars === n} onChange={() => setStars(n)} />
            <Icon name="star" />
            <span class="unseen">{t('act.rate.star', { n })}</span>
          </label>
        ))}
      </div>
      <Do class="primary" disabled={stars === 0} run={() => trader.value!.rate(v.record.index, stars)}>{t('act.rate.send')}</Do>
    </fieldset>
  )
}

/** The ways out, less loud than the way on. */
function Exits({ v }: { v: TradeView }): JSX.Element | null {
  const tr = trader.value!
  const { index } = v.record
  const cancel = async (): Promise<void> => {
    const body = t(v.status === 'pending' ? 'act.cancel.ask.pending' : 'act.cancel.ask.waiting')
    if (await confirm({ title: t('act.cancel'), body, yes: t('act.cancel.yes'), danger: true })) await tr.cancel(index)
  }
  const coop = async (): Promise<void> => {
    if (await confirm({ title: t('act.coop'), body: t('act.coop.ask'), yes: t('act.coop.yes'), danger: true })) await tr.cancel(index)
  }
  const dispute = async (): Promise<void> => {
    if (await confirm({ title: t('act.dispute'), body: t('act.dispute.ask'), yes: t('act.dispute.yes'), danger: true })) await tr.dispute(index)
  }
  const forget = async (): Promise<void> => {
    if (!(await confirm({ title: t('trade.forget'), body: t('trade.forget.ask'), yes: t('common.remove'), danger: true }))) return
    await tr.forget(index)
    go('trades')
  }
  const coopable = v.can.has('cooperative-cancel') && v.cancelAskedBy !== 'peer'
  return (
    <div class="exits">
      {v.can.has('cancel') && <Do class="danger" run={cancel}>{t('act.cancel')}</Do>}
      {(coopable || v.can.has('dispute')) && <span class="muted">{t('act.trouble')}</span>}
      {coopable && <Do class="danger" run={coop}>{t('act.coop')}</Do>}
      {v.can.has('dispute') && <Do class="danger" run={dispute}>{t('act.dispute')}</Do>}
      {!v.live && <Do class="link" run={forget}>{t('trade.forget')}</Do>}
      {v.record.rest !== undefined && views.value.some((x) => x.record.index === v.record.rest) && <a href={`#/trade/${v.record.rest}`}>{t('trade.rest')}</a>}
    </div>
  )
}

// ---- history

function entryWords(e: Entry): string {
  if (e.who === 'me') return actionName(e.action)
  const m = e.letter
  if (e.action === 'reputation') {
    const r = m?.payload && 'peer' in m.payload ? m.payload.peer.reputation : null
    return r && Number(r.reviews) > 0 ? t('ev.reputation', { score: num(r.rating, 1), n: num(Number(r.reviews)) }) : t('ev.reputation.none')
  }
  return tOr('ev.' + e.action, 'ev.other', { action: e.action.slice(0, 60), why: reasonWords(m?.reason ?? '') })
}

function Timeline({ v }: { v: TradeView }): JSX.Element {
  return (
    <section class="card">
      <h2>{t('trade.timeline')}</h2>
      <ol class="timeline">
        {v.timeline.map((e, i) => (
          <li key={i} class={`${e.who} ${e.action === 'cant-do' ? 'no' : ''}`}>
            <span>{entryWords(e)}</span>
            <time class="muted" dateTime={new Date(e.at * 1000).toISOString()} title={when(e.at)}>{ago(clock.value - e.at)}</time>
          </li>
        ))}
      </ol>
    </section>
  )
}

function Details({ v }: { v: TradeView }): JSX.Element {
  const { record: r, terms } = v
  const [told, setTold] = useState<boolean>()
  return (
    <details class="card">
      <summary>{t('trade.details')}</summary>
      <dl class="sum">
        {v.peerRating && <div><dt>{t('trade.peer')}</dt><dd><Stars score={v.peerRating.rating} reviews={Number(v.peerRating.reviews)} days={Number(v.peerRating.operating_days)} /></dd></div>}
        <div><dt>{t('trade.money')}</dt><dd>{fiatRange(terms)}</dd></div>
        <div><dt>{t('trade.amount')}</dt><dd>{terms.amount ? sats(terms.amount) : t('common.market')}</dd></div>
        {v.locks !== undefined && <div><dt>{t('offer.youlock')}</dt><dd>{sats(v.locks)}</dd></div>}
        {v.gets !== undefined && <div><dt>{t('offer.youget')}</dt><dd>{sats(v.gets)}</dd></div>}
        {terms.amount > 0 && terms.fiat > 0 && <div><dt>{t('make.pricing')}</dt><dd>{money((terms.fiat / terms.amount) * 1e8, terms.currency)}/BTC</dd></div>}
        {r.info && <div><dt>{t('trade.fee')}</dt><dd>{percent(r.info.fee, 2)}</dd></div>}
        <div><dt>{t('book.method')}</dt><dd>{terms.methods.split(',').join(', ')}</dd></div>
        <div><dt>{t('trade.server')}</dt><dd><a href={`#/servers/${r.server}`}>{serverName(r.server)}</a></dd></div>
        {r.order && <div><dt>{t('trade.id')}</dt><dd class="mono">{r.order}</dd></div>}
        <div><dt>{t('trade.key')}</dt><dd>{r.index}</dd></div>
        <div><dt>{t('trade.privacy')}</dt><dd>{t(r.private ? 'wallet.mode.private' : 'wallet.mode.reputation')}</dd></div>
      </dl>
      {r.order && v.live && (
        <>
          <Do class="quiet" run={async () => setTold(await trader.value!.refresh(r.index))}>{t('trade.refresh')}</Do>
          {told !== undefined && <p class="hint" role="status">{t(told ? 'trade.refreshed' : 'set.restore.none')}</p>}
        </>
      )}
    </details>
  )
}
