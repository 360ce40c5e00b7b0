// Checks signatures away from the page's thread.
import { verify, type Event } from './event'

self.onmessage = (e: MessageEvent<{ n: number; list: Event[] }>) => {
  self.postMessage({ n: e.data.n, ok: e.data.list.map(verify) })
}
