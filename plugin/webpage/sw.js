// Keeps the page on the device, so that it opens without a network. It fetches nothing but the page's own files.
const assets = ["./","icon-192.png","icon-512.png","icon.svg","index-BR2ovlIL.js","manifest.webmanifest","pow.worker-lp5yjCd8.js","style-Dqpb6Nbp.css","verify.worker-B_9Q6aOM.js"]
const cacheName = 'mostro-d63d49ea1ef0'

self.addEventListener('install', (e) => {
  e.waitUntil(caches.open(cacheName).then((c) => c.addAll(assets)).then(() => self.skipWaiting()))
})

self.addEventListener('activate', (e) => {
  const old = (names) => names.filter((n) => n.startsWith('mostro-') && n !== cacheName)
  e.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((n) => caches.delete(n)))).then(() => self.clients.claim()))
})

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url)
  if (e.request.method !== 'GET' || url.origin !== location.origin || url.pathname.endsWith('/mostro.json')) return
  if (e.request.mode === 'navigate') {
    // The newest page if there is a network, or else the one we have.
    e.respondWith(fetch(e.request).catch(() => caches.match('./', { ignoreSearch: true })))
    return
  }
  e.respondWith(caches.match(e.request).then((hit) => hit ?? fetch(e.request)))
})

self.addEventListener('notificationclick', (e) => {
  e.notification.close()
  e.waitUntil(self.clients.matchAll({ type: 'window' }).then((list) => (list[0] ? list[0].focus() : self.clients.openWindow('./' + (e.notification.data?.url ?? '')))))
})
