// Chat with the other trader and with the solver. What they write is text, whatever it looks like.

import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { tradeTurn, trader } from '../app/state'
import { settings } from '../app/settings'
import { describe, download, encryptBlob, maxFile, readAttachment, shownTypes, sniff, upload, type Attachment } from '../lib/attachment'
import { maxText } from '../lib/chat'
import type { ChatLine, ChatWith } from '../lib/trader'
import type { TradeView } from '../lib/trade'
import { t, when } from '../i18n'
import { Choice, confirm, Do, Icon, Note } from './bits'

export function Chat({ v }: { v: TradeView }): JSX.Element {
  tradeTurn.value
  const { index } = v.record
  const [who, setWho] = useState<ChatWith>(v.solver ? 'solver' : 'peer')
  const [text, setText] = useState('')
  const [fault, setFault] = useState('')
  const end = useRef<HTMLDivElement>(null)
  const chosen: ChatWith = v.solver ? who : 'peer'
  const lines = (trader.value?.chats.get(index)?.lines ?? []).filter((l) => l.with === chosen)
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight
    if (!document.hidden) void trader.value?.markRead(index)
  }, [lines.length, chosen])
  const say = async (): Promise<void> => {
    const words = text.trim()
    if (!words) return
    setFault('')
    const o = await trader.value!.say(index, chosen, words)
    if (o.ok || o.unclear) setText('')
    if (!o.ok) setFault(o.reason)
  }
  return (
    <section class="card chat" aria-labelledby="chat-title">
      <h2 id="chat-title"><Icon name="chat" />{t('chat.title')}</h2>
      {v.solver && v.peer && <Choice label={t('chat.title')} hide value={chosen} onPick={setWho} options={[['peer', t('chat.with.peer')], ['solver', t('chat.with.solver')]]} />}
      <p class="hint"><Icon name="lock" /> {t(chosen === 'solver' ? 'chat.solvernote' : 'chat.private')}</p>
      <div class="lines" ref={end} role="log" aria-live="polite" aria-label={t('chat.title')} tabIndex={0}>
        {lines.length === 0 && <p class="muted">{t('chat.empty')}</p>}
        {lines.map((l) => <Line key={l.id} l={l} index={index} />)}
      </div>
      <form class="write" onSubmit={(e) => (e.preventDefault(), void say())}>
        <label class="unseen" for="chat-text">{t('chat.write')}</label>
        <textarea
          id="chat-text" rows={1} maxLength={maxText} placeholder={t('chat.write')} value={text} onInput={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => e.key === 'Enter' && !e.shiftKey && !e.isComposing && (e.preventDefault(), void say())}
        />
        <Attach index={index} who={chosen} onFault={setFault} />
        <button class="primary round" aria-label={t('chat.send')} disabled={!text.trim()}><Icon name="send" /></button>
      </form>
      {fault && <p class="error" role="alert">{t('chat.failed', { what: fault })}</p>}
    </section>
  )
}

function Line({ l, index }: { l: ChatLine; index: number }): JSX.Element {
  const a = readAttachment(l.text)
  return (
    <div class={`line ${l.mine ? 'mine' : ''}`}>
      {a ? <File a={a} index={index} who={l.with} /> : <p dir="auto">{l.text}</p>}
      <time class="muted" dateTime={new Date(l.at * 1000).toISOString()}>{when(l.at)}</time>
    </div>
  )
}

const hostOf = (url: string): string => URL.parse(url)?.host ?? url

function Attach({ index, who, onFault }: { index: number; who: ChatWith; onFault: (s: string) => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null)
  const send = async (file: File): Promise<void> => {
    onFault('')
    if (file.size > maxFile) return onFault(t('chat.attach.big'))
    const servers = settings.value.blossom
    const c = trader.value?.conversation(index, who)
    if (!c || servers.length === 0) return onFault(t('chat.attach.failed'))
    const ok = await confirm({ title: t('chat.attach'), body: t('chat.attach.ask', { host: hostOf(servers[0]!) }), yes: t('chat.attach.send') })
    if (!ok) return
    const data = new Uint8Array(await file.arrayBuffer())
    const mime = sniff(data)
    const blob = encryptBlob(data, c.shared)
    try {
      const url = await upload(blob, servers)
      const size = shownTypes.includes(mime) ? await sizeOf(data, mime) : { width: 0, height: 0 }
      const o = await trader.value!.say(index, who, describe(blob, url, { mime, name: file.name.slice(0, 100), size: data.length, ...size }))
      if (!o.ok) onFault(o.reason)
    } catch {
      onFault(t('chat.attach.failed'))
    }
  }
  return (
    <>
      <input ref={input} type="file" hidden onChange={(e) => { const f = e.currentTarget.files?.[0]; e.currentTarget.value = ''; if (f) void send(f) }} />
      <button type="button" class="quiet round" aria-label={t('chat.attach')} title={t('chat.attach')} onClick={() => input.current?.click()}><Icon name="clip" /></button>
    </>
  )
}

async function sizeOf(data: Uint8Array, mime: string): Promise<{ width: number; height: number }> {
  try {
    const { width, height } = await createImageBitmap(new Blob([data as Uint8Array<ArrayBuffer>], { type: mime }))
    return { width, height }
  } catch {
    return { width: 1, height: 1 }
  }
}

/** A file is fetched only when the user wants it: the fetch tells its host where he is. */
function File({ a, index, who }: { a: Attachment; index: number; who: ChatWith }): JSX.Element {
  const [open, setOpen] = useState<{ url: string; mime: string }>()
  useEffect(() => () => void (open && URL.revokeObjectURL(open.url)), [open])
  const fetchIt = async (): Promise<void> => {
    try {
      const data = await download(a, trader.value!.conversation(index, who)!.shared)
      const mime = sniff(data)
      setOpen({ url: URL.createObjectURL(new Blob([data as Uint8Array<ArrayBuffer>], { type: mime })), mime })
    } catch {
      throw new Error(t('chat.file.bad'))
    }
  }
  if (open && shownTypes.includes(open.mime)) return <a href={open.url} download={a.name || 'picture'}><img src={open.url} alt={t('chat.file', { name: a.name })} /></a>
  if (open) return <a class="button quiet" href={open.url} download={a.name || 'file'}>{t('chat.file', { name: a.name })}</a>
  return (
    <div class="file">
      <p>{t('chat.file', { name: a.name })}</p>
      <Do class="quiet" run={fetchIt}>{t('chat.file.open')}</Do>
      <p class="hint">{t('chat.file.from', { host: hostOf(a.url) })}</p>
    </div>
  )
}

export { Note }
