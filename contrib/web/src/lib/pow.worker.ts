// Proof of work away from the page's thread.
import { search, type Job } from './pow'

self.onmessage = (e: MessageEvent<Job>) => {
  for (let from = 0; ; from += 100_000) {
    const n = search(e.data, from, 100_000)
    if (n !== undefined) {
      self.postMessage(n)
      return
    }
  }
}
