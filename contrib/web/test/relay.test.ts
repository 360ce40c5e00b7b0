import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { sign, type Event } from '../src/lib/event'
import { Market } from '../src/lib/market'
import { Pool } from '../src/lib/relay'
import { node, O1, trade } from './golden'

/** The far end of a connection, by hand. */
class Socket {
  static all: Socket[] = []
  readyState = 0
  sent: unknown[][] = []
  onopen?: () => void
  onclose?: ((e: { reason: string }) => void) | null
  onmessage?: (e: { data: string }) => void
  onerror?: () => void
  constructor(readonly url: string) {
    Socket.all.push(this)
  }
  send(s: string): void {
    this.sent.push(JSON.parse(s) as unknown[])
  }
  close(): void {
    this.readyState = 3
    this.onclose?.({ reason: '' })
  }
  open(): void {
    this.readyState = 1
    this.onopen?.()
  }
  say(...frame: unknown[]): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
  reqs(name: string): unknown[][] {
    return this.sent.filter((f) => f[0] === 'REQ' && String(f[1]).startsWith(name))
  }
}

const at = Math.floor(Date.now() / 1000)
const event = (over: Partial<Event> = {}): Event => sign({ kind: 1, created_at: at, tags: [], content: String(Math.random()), ...over }, node)
let pool: Pool

beforeEach(() => {
  vi.useFakeTimers()
  Socket.all = []
  pool = new Pool(() => {}, (url) => new Socket(url) as unknown as WebSocket)
})
afterEach(() => {
  pool.close()
  vi.useRealTimers()
})

const only = (): Socket => Socket.all.at(-1)!

describe('a pool', () => {
  it('asks anew after each reconnect, with filters of that moment', () => {
    let since = 100
    pool.use(['ws://a'])
    pool.subscribe('mail', { filters: () => [{ since }], events: () => {} })
    only().open()
    expect(only().reqs('mail')[0]![2]).toEqual({ since: 100 })
    since = 200
    only().close()
    vi.advanceTimersByTime(1000)
    expect(Socket.all).toHaveLength(2)
    only().open()
    expect(only().reqs('mail')[0]![2]).toEqual({ since: 200 })
  })
  it('waits longer after each failure, and comes at once when the device wakes', () => {
    pool.use(['ws://a'])
    for (let i = 0; i < 8; i++) {
      only().close()
      vi.advanceTimersByTime(45_000)
    }
    const before = Socket.all.length
    only().close()
    vi.advanceTimersByTime(10_000)
    expect(Socket.all.length).toBe(before)
    pool.wake()
    expect(Socket.all.length).toBe(before + 1)
  })
  it('ends a connection that has gone silent', () => {
    pool.use(['ws://a'])
    only().open()
    vi.advanceTimersByTime(46_000)
    expect(only().reqs('alive')).toHaveLength(1)
    vi.advanceTimersByTime(15_000)
    expect(Socket.all.length).toBeGreaterThan(1)
  })
  it('delivers what was stored in one piece, then each as it comes, and nothing malformed', () => {
    const got: number[] = []
    pool.use(['ws://a'])
    pool.subscribe('mail', { filters: () => [{}], events: (l) => got.push(l.length) })
    only().open()
    const id = only().reqs('mail')[0]![1]
    only().say('EVENT', id, event())
    only().say('EVENT', id, { id: 'x' })
    only().say('EVENT', id, event())
    only().say('EVENT', 'another', event())
    only().say('EOSE', id)
    only().say('EVENT', id, event())
    only().onmessage?.({ data: '{nonsense' })
    only().say('NOTICE')
    expect(got).toEqual([2, 1])
  })
  it('asks page by page where a relay sends only so many', () => {
    const got: number[] = []
    pool.use(['ws://a'])
    pool.subscribe('book', { filters: () => [{ limit: 2 }], events: (l) => got.push(l.length), paged: true })
    only().open()
    const page = (n: number, ages: number[]): void => {
      const req = only().reqs('book')[n]!
      for (const a of ages) only().say('EVENT', req[1], event({ created_at: at - a }))
      only().say('EOSE', req[1])
    }
    page(0, [1, 2])
    expect(only().reqs('book')[1]![2]).toMatchObject({ until: at - 3 })
    page(1, [3, 4])
    page(2, [])
    expect(only().reqs('book')).toHaveLength(3)
    expect(got).toEqual([2, 2])
  })
  it('says what became of an event: taken, refused, unclear, or nobody there', async () => {
    vi.useRealTimers()
    expect(await pool.publish(event())).toMatchObject({ ok: false, unclear: false })
    pool.use(['ws://a', 'ws://b'])
    const [a, b] = Socket.all as [Socket, Socket]
    a.open()
    b.open()
    const e = event()
    const taken = pool.publish(e)
    a.say('OK', e.id, false, 'blocked: no')
    b.say('OK', e.id, false, 'duplicate: have it')
    expect(await taken).toEqual({ ok: true })
    const f = event()
    const refused = pool.publish(f)
    a.say('OK', f.id, false, 'blocked: no')
    b.say('OK', f.id, false, 'blocked: no')
    expect(await refused).toEqual({ ok: false, unclear: false, reason: 'blocked: no' })
    const g = event()
    const unclear = pool.publish(g)
    a.say('OK', g.id, false, 'blocked: no')
    b.close()
    expect(await unclear).toMatchObject({ ok: false, unclear: true })
  })
  it('sends an event as soon as the relay is back', async () => {
    vi.useRealTimers()
    pool.use(['ws://a'])
    const e = event()
    const done = pool.publish(e)
    only().open()
    await vi.waitFor(() => expect(only().sent.some((f) => f[0] === 'EVENT')).toBe(true))
    only().say('OK', e.id, true, '')
    expect(await done).toEqual({ ok: true })
  })
})

describe('a market', () => {
  const offer = (over: string[][] = [], created_at = at): Event =>
    sign({ kind: 38383, created_at, content: '', tags: [['d', O1], ['k', 'sell'], ['f', 'EUR'], ['s', 'pending'], ['amt', '1000'], ['fa', '1'], ['pm', 'x'], ['premium', '0'], ['y', 'mostro'], ...over] }, node)
  const open = async (check = async (l: Event[]) => l.map(() => true)): Promise<[Market, (e: Event) => Promise<void>]> => {
    vi.useRealTimers()
    const m = new Market(pool, check, () => {})
    m.follow()
    pool.use(['ws://a'])
    only().open()
    const id = only().reqs('moves')[0]![1]
    only().say('EOSE', id)
    return [m, async (e) => { only().say('EVENT', id, e); await new Promise((r) => setTimeout(r, 5)) }]
  }
  it('shows an offer at once, and drops it if its signature is wrong', async () => {
    let answer: (ok: boolean[]) => void = () => {}
    const [m, say] = await open(() => new Promise((r) => (answer = r)))
    await say(offer())
    expect(m.open(at)).toMatchObject([{ id: O1, sure: false }])
    answer([false])
    await vi.waitFor(() => expect(m.open(at)).toEqual([]))
  })
  it('does not let a forged newer version hide a good one', async () => {
    const [m, say] = await open(async (l) => l.map((e) => e.created_at === at))
    await say(offer())
    await say({ ...offer([], at + 5), sig: '0'.repeat(128) })
    expect(m.open(at)).toMatchObject([{ sure: true, created_at: at }])
  })
  it('follows an order out of the book, whichever version comes first', async () => {
    const gone = sign({ kind: 38383, created_at: at + 1, content: '', tags: [['d', O1], ['k', 'sell'], ['f', 'EUR'], ['s', 'in-progress'], ['y', 'mostro']] }, node)
    const [m, say] = await open()
    await say(offer())
    await say(gone)
    expect(m.open(at)).toEqual([])
    const [late, tell] = await open()
    await tell(gone)
    await tell(offer())
    expect(late.open(at)).toEqual([])
  })
  it('keeps orders of the same id of two servers apart', async () => {
    const [m, say] = await open()
    await say(offer())
    await say(sign(offer(), trade))
    expect(m.open(at)).toHaveLength(2)
  })
  it('finds out how wrong this device’s clock is from servers that speak, and not from what was stored', async () => {
    const [m] = await open()
    const id = only().reqs('servers')[0]![1]
    const info = (created_at: number): Event => sign({ kind: 38385, created_at, content: '', tags: [['d', node.pub], ['z', 'info'], ['y', 'mostro']] }, node)
    only().say('EVENT', id, info(at - 5000))
    only().say('EOSE', id)
    expect(m.skew).toBe(0)
    only().say('EVENT', id, info(at + 600))
    expect(Math.abs(m.skew - 600)).toBeLessThan(5)
  })
  it('checks a signature at once when somebody wants the offer', async () => {
    const [m, say] = await open(() => new Promise(() => {}))
    await say({ ...offer(), sig: '0'.repeat(128) })
    expect(m.ensure(m.open(at)[0]!)).toBe(false)
    expect(m.open(at)).toEqual([])
  })
})
