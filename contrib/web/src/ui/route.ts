// Where the user is: the address after the #, so that the page needs no server that knows its paths.

import { signal } from '@preact/signals'

const read = (): string[] => location.hash.replace(/^#\/?/, '').split('?')[0]!.split('/').map(decodeURIComponent)

export const route = signal(read())

addEventListener('hashchange', () => {
  const before = route.value[0]
  route.value = read()
  if (route.value[0] === before && route.value.length === 1) return
  scrollTo(0, 0)
  document.getElementById('main')?.focus({ preventScroll: true })
})

export function go(path: string): void {
  location.hash = '#/' + path
}
