// Small parts that every screen uses.

import { signal } from '@preact/signals'
import { render, type ComponentChildren, type JSX } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import encodeQR from 'qr'
import { num, t } from '../i18n'

export function Icon({ name, label }: { name: keyof typeof icons; label?: string }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" {...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true })}>
      <path d={icons[name]} />
    </svg>
  )
}

const icons = {
  offers: 'M4 6h16M4 12h16M4 18h10',
  trades: 'M7 4v13m0 0-3-3m3 3 3-3M17 20V7m0 0-3 3m3-3 3 3',
  plus: 'M12 5v14M5 12h14',
  servers: 'M4 5h16v5H4zM4 14h16v5H4zM8 7.5h.01M8 16.5h.01',
  settings: 'M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM19 12l2-1.2-2-3.4-2.2.8-1.7-1L14.800 5h-4l-.4 2.200-1.700 1-2.200-.8-2 3.400L6.500 12l-2 1.200 2 3.400 2.200-.8 1.700 1 .4 2.200h4l.4-2.200 1.700-1 2.200.8 2-3.400z',
  back: 'M15 5l-7 7 7 7',
  copy: 'M9 9h10v10H9zM5 15V5h10',
  star: 'M12 4l2.500 5 5.500.8-4 3.900.9 5.500-4.900-2.600-4.900 2.600.9-5.500-4-3.900 5.500-.8z',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
  clip: 'M20 11l-8.500 8.500a5 5 0 0 1-7-7L13 4a3.500 3.500 0 0 1 5 5l-8.500 8.500a2 2 0 0 1-3-3L14 7',
  send: 'M4 12l16-8-6 16-3-6z',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  alert: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.500 2',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  filter: 'M4 6h16M7 12h10M10 18h4',
} as const

export function Stars({ score, reviews, days }: { score: number; reviews: number; days?: number | undefined }): JSX.Element {
  if (reviews === 0) return <span class="rating muted">{t('book.newtrader')}</span>
  const words = t('book.reviews', { score: num(score, 1), n: num(reviews) }) + (days ? ', ' + t('book.days', { n: num(days) }) : '')
  return (
    <span class="rating" role="img" title={words} aria-label={words}>
      <Icon name="star" />
      <b>{num(score, 1)}</b>
      <span class="muted">({num(reviews)})</span>
    </span>
  )
}

export function QR({ text, label }: { text: string; label: string }): JSX.Element {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: 3 })
  let d = ''
  rows.forEach((row, y) => row.forEach((on, x) => on && (d += `M${x} ${y}h1v1h-1z`)))
  return (
    <svg class="qr" viewBox={`0 0 ${rows.length} ${rows.length}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <path d={d} fill="#111" />
    </svg>
  )
}

export async function copyText(s: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(s)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = s
    document.body.append(area)
    area.select()
    const ok = document.execCommand('copy')
    area.remove()
    return ok
  }
}

export function Copy({ text, label }: { text: string; label?: string }): JSX.Element {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(() => setDone(false), 2000)
    return () => clearTimeout(timer)
  }, [done])
  return (
    <button type="button" class="quiet" onClick={() => void copyText(text).then(setDone)}>
      <Icon name={done ? 'check' : 'copy'} />
      <span aria-live="polite">{done ? t('common.copied') : (label ?? t('common.copy'))}</span>
    </button>
  )
}

interface FieldProps {
  label: string
  hint?: string | undefined
  error?: string | undefined
  children: (a: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ComponentChildren
}

/** A control with its label, hint and fault, tied together for those who cannot see them. */
export function Field({ label, hint, error, children }: FieldProps): JSX.Element {
  const id = useId()
  const described = [hint && id + 'h', error && id + 'e'].filter(Boolean).join(' ')
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...(described ? { 'aria-describedby': described } : {}), ...(error ? { 'aria-invalid': true } : {}) })}
      {hint && <p class="hint" id={id + 'h'}>{hint}</p>}
      {error && <p class="error" id={id + 'e'}>{error}</p>}
    </div>
  )
}

export function Choice<T extends string>({ label, value, options, onPick, hide }: { label: string; value: T; options: [T, string][]; onPick: (v: T) => void; hide?: boolean }): JSX.Element {
  const name = useId()
  return (
    <fieldset class="choice">
      <legend class={hide ? 'unseen' : ''}>{label}</legend>
      <div class="segments">
        {options.map(([v, words]) => (
          <label class={v === value ? 'on' : ''} key={v}>
            <input type="radio" name={name} value={v} checked={v === value} onChange={() => onPick(v)} />
            <span>{words}</span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}

export function Note({ kind = 'info', children, live }: { kind?: 'info' | 'warn' | 'bad' | 'good'; children: ComponentChildren; live?: boolean }): JSX.Element {
  return (
    <div class={`note ${kind}`} {...(live ? { role: kind === 'bad' ? 'alert' : 'status' } : {})}>
      <Icon name={kind === 'good' ? 'check' : kind === 'info' ? 'clock' : 'alert'} />
      <div>{children}</div>
    </div>
  )
}

/** A button that is busy while its work runs, and says so if it fails. */
export function Do({ children, run, class: cls, disabled, onError }: { children: ComponentChildren; run: () => Promise<unknown>; class?: string; disabled?: boolean | undefined; onError?: (e: unknown) => void }): JSX.Element {
  const [busy, setBusy] = useState(false)
  const [fault, setFault] = useState('')
  const alive = useRef(true)
  useEffect(() => () => void (alive.current = false), [])
  const click = async (): Promise<void> => {
    setBusy(true)
    setFault('')
    try {
      await run()
    } catch (e) {
      if (onError) onError(e)
      else if (alive.current) setFault(e instanceof Error ? e.message : String(e))
    }
    if (alive.current) setBusy(false)
  }
  return (
    <>
      <button type="button" class={cls ?? 'primary'} disabled={busy || disabled} aria-busy={busy} onClick={() => void click()}>
        {busy ? <span class="spin" aria-hidden="true" /> : null}
        {children}
      </button>
      {fault && <p class="error" role="alert">{t('common.error', { what: fault })}</p>}
    </>
  )
}

// ---- dialogs

interface Ask {
  title: string
  body?: ComponentChildren
  yes: string
  danger?: boolean
  /** Boxes that must all be ticked first. */
  checks?: string[]
  done: (ok: boolean) => void
}

const asked = signal<Ask | undefined>(undefined)

/** Asks for a deliberate yes. */
export function confirm(a: Omit<Ask, 'done'>): Promise<boolean> {
  return new Promise((done) => {
    asked.value = { ...a, done }
  })
}

export function Dialogs(): JSX.Element | null {
  const a = asked.value
  if (!a) return null
  const end = (ok: boolean): void => {
    asked.value = undefined
    a.done(ok)
  }
  return <Dialog key={a.title} ask={a} end={end} />
}

function Dialog({ ask, end }: { ask: Ask; end: (ok: boolean) => void }): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null)
  const [ticked, setTicked] = useState<boolean[]>((ask.checks ?? []).map(() => false))
  useEffect(() => ref.current?.showModal(), [])
  return (
    <dialog ref={ref} aria-labelledby="ask-title" onCancel={(e) => (e.preventDefault(), end(false))}>
      <h2 id="ask-title">{ask.title}</h2>
      {ask.body && <div class="ask-body">{ask.body}</div>}
      {(ask.checks ?? []).map((c, i) => (
        <label class="tick" key={c}>
          <input type="checkbox" checked={ticked[i]} onChange={() => setTicked(ticked.map((x, j) => (j === i ? !x : x)))} />
          <span>{c}</span>
        </label>
      ))}
      <div class="buttons end">
        <button type="button" class="quiet" onClick={() => end(false)}>{t('common.back')}</button>
        <button type="button" class={ask.danger ? 'danger solid' : 'primary'} disabled={!ticked.every(Boolean)} onClick={() => end(true)}>{ask.yes}</button>
      </div>
    </dialog>
  )
}

/** Rows of one height, of which only those in sight exist. */
export function Rows<T>({ items, height, label, row, id }: { items: T[]; height: number; label: string; row: (item: T) => ComponentChildren; id: (item: T) => string }): JSX.Element {
  const ref = useRef<HTMLDivElement>(null)
  const [seen, setSeen] = useState<[number, number]>([0, 20])
  useEffect(() => {
    let frame = 0
    const look = (): void => {
      frame = 0
      const top = ref.current?.getBoundingClientRect().top ?? 0
      const from = Math.max(0, Math.floor(-top / height) - 4)
      const to = Math.ceil((innerHeight - top) / height) + 4
      setSeen((old) => (old[0] === from && old[1] === to ? old : [from, to]))
    }
    const soon = (): void => void (frame ||= requestAnimationFrame(look))
    look()
    addEventListener('scroll', soon, { passive: true })
    addEventListener('resize', soon)
    return () => {
      cancelAnimationFrame(frame)
      removeEventListener('scroll', soon)
      removeEventListener('resize', soon)
    }
  }, [height])
  const [from, to] = seen
  return (
    <div ref={ref} class="rows" role="list" aria-label={label} style={{ height: `${items.length * height}px` }}>
      {items.slice(from, to).map((item, i) => (
        <div class="row" role="listitem" key={id(item)} aria-setsize={items.length} aria-posinset={from + i + 1} style={{ transform: `translateY(${(from + i) * height}px)`, height: `${height}px` }}>
          {row(item)}
        </div>
      ))}
    </div>
  )
}

export { render }
