// Writes LICENCES.md, a list of all packages, and public/licences.txt, the texts that go with the page. Run it when the
// lockfile has changed.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const name = (path) => path.replace(/^.*node_modules\//, '')
// typescript is asked for by packages for their types; nothing of it is in the page
const rows = Object.entries(lock.packages)
  .filter(([path]) => path.startsWith('node_modules/'))
  .map(([path, p]) => ({ path, name: name(path), version: p.version, licence: p.license ?? '?', dev: !!p.dev || name(path) === 'typescript' }))
const table = (dev) => rows.filter((r) => r.dev === dev).map((r) => `| ${r.name} | ${r.version} | ${r.licence} |`)
const head = ['| package | version | licence |', '|---|---|---|']
const page = ['# Licences', '', 'Written by `node scripts/licences.mjs` from the lockfile.', '', '## In the page', '', ...head, ...table(false), '',
  '## Tools, not in the page', '', ...head, ...table(true), '']
writeFileSync('LICENCES.md', page.join('\n'))

const texts = ['Mostro web client', '', readFileSync('../../LICENSE', 'utf8').trim()]
for (const r of rows.filter((r) => !r.dev)) {
  const file = existsSync(r.path) && readdirSync(r.path).find((f) => /^licen[cs]e/i.test(f))
  texts.push('', '-'.repeat(78), `${r.name} ${r.version} (${r.licence})`, '', file ? readFileSync(`${r.path}/${file}`, 'utf8').trim() : 'see the package')
}
writeFileSync('public/licences.txt', texts.join('\n') + '\n')
