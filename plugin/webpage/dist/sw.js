// Keeps the page on the device, so that it opens without a network. It fetches nothing but the page's own files.
const assets = ["./","assets/index-BGbt5M7y.js","assets/pow.worker-lp5yjCd8.js","assets/style-Drp6MAlu.css","assets/verify.worker-B_9Q6aOM.js","icon-192.png","icon-512.png","icon.svg","licences.txt","manifest.webmanifest"]
const cacheName = 'mostro-2cd5bb5137df'

self.addEventListener('install', (e) => {
  e.waitUntil(caches.open(cacheName).then((c) => c.addAll(assets)).then(() => self.skipWaiting()))
})

self.addEventListener('activate', (e) => {
  const old = (names) => names.filter((n) => n.startsWith('mostro-') && n !== cacheName)
  e.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((n) => caches.delete(n)))).then(() => self.clients.claim()))
})

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url)
  if (e.request.method !== 'GET' || url.origin !== location.origin || url.pathname.endsWith('/server.json')) return
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
