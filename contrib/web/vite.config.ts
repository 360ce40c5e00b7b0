import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

/** A page opened from disk may not load modules, so the script is a classic one. */
function classicScript(): Plugin {
  return {
    name: 'classic-script', enforce: 'post', apply: 'build',
    transformIndexHtml: (html) => html.replace(/<script type="module" crossorigin/g, '<script defer').replace(/<link rel="stylesheet" crossorigin/g, '<link rel="stylesheet"'),
  }
}

/** Writes the service worker, with the list of files that it keeps and a version that follows from their content. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker', enforce: 'post', apply: 'build',
    generateBundle(_options, bundle) {
      const still = readdirSync('public')
      const hash = createHash('sha256')
      for (const name of [...Object.keys(bundle)].sort()) {
        const f = bundle[name]!
        hash.update(name).update(f.type === 'chunk' ? f.code : f.source)
      }
      for (const name of still) hash.update(name).update(readFileSync('public/' + name))
      const assets = ['./', ...Object.keys(bundle).filter((n) => n !== 'index.html' && !n.endsWith('.map')), ...still].sort()
      const source = readFileSync('src/sw.js', 'utf8').replace('__ASSETS__', JSON.stringify(assets)).replace('__VERSION__', hash.digest('hex').slice(0, 12))
      this.emitFile({ type: 'asset', fileName: 'sw.js', source })
    },
  }
}

const names = { entryFileNames: 'assets/[name]-[hash].js', chunkFileNames: 'assets/[name]-[hash].js', assetFileNames: 'assets/[name]-[hash][extname]' }

export default defineConfig({
  base: './',
  experimental: { renderBuiltUrl: (file, { hostType }) => (hostType === 'js' ? { runtime: `new URL(${JSON.stringify(file)}, document.baseURI).href` } : { relative: true }) },
  plugins: [classicScript(), serviceWorker()],
  build: {
    target: 'es2022', modulePreload: false, assetsInlineLimit: 0, cssCodeSplit: false, reportCompressedSize: false,
    // A classic script has no import.meta; workers are found from the page.
    rollupOptions: { output: { ...names, format: 'iife', name: 'mostro' }, transform: { define: { 'import.meta.url': 'document.baseURI' } } },
  },
  worker: { format: 'iife', rollupOptions: { output: names } },
})
