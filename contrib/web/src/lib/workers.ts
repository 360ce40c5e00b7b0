// Workers where there are any. A page opened from disk may not start them; the work is then done here, in slices.

import { verify, type Draft, type Event } from './event'
import { jobFor, mineHere } from './pow'

export type Verify = (list: Event[]) => Promise<boolean[]>

interface Waiting {
  list: Event[]
  done: (ok: boolean[]) => void
}

/** Checks signatures in the background, many at a time. */
export function backgroundVerifier(): Verify {
  let n = 0
  const waiting = new Map<number, Waiting>()
  const workers: Worker[] = []
  const here = async (list: Event[]): Promise<boolean[]> => {
    const ok: boolean[] = []
    let slice = performance.now()
    for (const e of list) {
      ok.push(verify(e))
      if (performance.now() - slice < 12) continue
      await new Promise((r) => setTimeout(r))
      slice = performance.now()
    }
    return ok
  }
  const give = (w: Worker): void => {
    w.onmessage = (e: MessageEvent<{ n: number; ok: boolean[] }>) => {
      waiting.get(e.data.n)?.done(e.data.ok)
      waiting.delete(e.data.n)
    }
    w.onerror = () => {
      workers.splice(0)
      for (const [id, job] of waiting) {
        waiting.delete(id)
        void here(job.list).then(job.done)
      }
    }
  }
  try {
    const count = Math.min(2, Math.max(1, (navigator.hardwareConcurrency ?? 2) - 1))
    for (let i = 0; i < count; i++) workers.push(new Worker(new URL('./verify.worker.ts', import.meta.url), { type: 'module' }))
    workers.forEach(give)
  } catch {
    workers.splice(0)
  }
  return (list) => {
    const w = workers[n % Math.max(1, workers.length)]
    if (!w) return here(list)
    return new Promise((done) => {
      waiting.set(++n, { list, done })
      w.postMessage({ n, list })
    })
  }
}

/** Does the work that a server asks for, and returns the draft with its nonce. */
export async function mine(d: Draft & { pubkey: string }, bits: number): Promise<Draft> {
  if (bits <= 0) return d
  const job = jobFor(d, bits)
  let nonce: number
  try {
    nonce = await new Promise<number>((resolve, reject) => {
      const w = new Worker(new URL('./pow.worker.ts', import.meta.url), { type: 'module' })
      w.onmessage = (e: MessageEvent<number>) => (w.terminate(), resolve(e.data))
      w.onerror = () => (w.terminate(), reject(new Error('no worker')))
      w.postMessage(job)
    })
  } catch {
    nonce = await mineHere(job)
  }
  return { kind: d.kind, created_at: d.created_at, content: d.content, tags: [...d.tags, ['nonce', String(nonce), String(bits)]] }
}
