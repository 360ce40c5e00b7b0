// Puts the built page into the plugin, with a hash of the sources that it was built from: a test of the plugin compares.
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const target = '../../plugin/webpage/dist'

/** All files that the build reads, in one order. */
export function sources() {
  const files = ['index.html', 'package-lock.json', 'tsconfig.json', 'vite.config.ts']
  const walk = (dir) => {
    for (const name of readdirSync(dir)) {
      const path = `${dir}/${name}`
      if (statSync(path).isDirectory()) walk(path)
      else files.push(path)
    }
  }
  walk('src')
  walk('public')
  return files.sort()
}

const hash = createHash('sha256')
for (const f of sources()) hash.update(f + '\0').update(readFileSync(f)).update('\0')

rmSync(target, { recursive: true, force: true })
cpSync('dist', target, { recursive: true })
writeFileSync(join(target, 'sources.txt'), hash.digest('hex') + '\n')
