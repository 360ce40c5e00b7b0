// Prints the licences of all packages that end up in the page, and those of the tools that build and test it.
import { readFileSync } from 'node:fs'

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const rows = Object.entries(lock.packages)
  .filter(([path]) => path.startsWith('node_modules/'))
  .map(([path, p]) => ({ name: path.replace(/^.*node_modules\//, ''), version: p.version, licence: p.license ?? '?', dev: !!p.dev }))
const table = (dev) => rows.filter((r) => r.dev === dev).map((r) => `| ${r.name} | ${r.version} | ${r.licence} |`)
const head = ['| package | version | licence |', '|---|---|---|']
console.log(['# Licences', '', 'Printed by `node scripts/licences.mjs` from the lockfile.', '', '## In the page', '', ...head, ...table(false), '',
  '## Tools, not in the page', '', ...head, ...table(true)].join('\n'))
