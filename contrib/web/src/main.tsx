import { render } from 'preact'
import { meetHost } from './app/settings'
import { start } from './app/state'
import { App } from './ui/app'
import './style.css'

async function main(): Promise<void> {
  await meetHost()
  void start()
  render(<App />, document.getElementById('app')!)
  if ('serviceWorker' in navigator && location.protocol.startsWith('http') && import.meta.env.PROD) {
    await navigator.serviceWorker.register('sw.js').catch(() => {}) // without one the page works, but not offline
  }
}

void main()
