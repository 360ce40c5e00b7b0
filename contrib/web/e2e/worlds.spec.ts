import { test as base, type Browser } from '@playwright/test'
import { fileURLToPath } from 'node:url'
import { Person } from './person'
import { expect, purse, World } from './world'

// Worlds of another kind than the usual one, each for one story.
const test = base.extend<{ enter: (...args: string[]) => Promise<{ world: World; person: (name: string) => Promise<Person> }> }>({
  enter: async ({ browser }, use) => {
    const worlds: World[] = []
    const people: Person[] = []
    await use(async (...args) => {
      const world = await World.start(...args)
      worlds.push(world)
      return { world, person: (name) => arrive(browser, world, name, people) }
    })
    for (const p of people) await p.leave()
    for (const w of worlds) await w.stop()
  },
})

async function arrive(browser: Browser, world: World, name: string, people: Person[]): Promise<Person> {
  const p = await Person.arrive(browser, world, name, {})
  people.push(p)
  return p
}

test('two servers in one book: each with its fee, its transport and its proof of work', async ({ enter }) => {
  const { world, person } = await enter('-exchanges', '2', '-option', 'mostro-pow=10')
  const seller = await person('seller')
  const buyer = await person('buyer')
  const beta = world.about.exchanges[1]!
  await seller.makeOrder({ kind: 'sell', sats: 20000, fiat: 10 })
  const id = await seller.makeOrder({ kind: 'sell', sats: 20000, fiat: 10, server: 'Beta' })
  await buyer.go('')
  const rows = buyer.page.locator('.offer')
  await expect(rows).toHaveCount(2)
  await expect(rows.nth(0)).toContainText('Alpha')
  await expect(rows.nth(0)).toContainText('50,000')
  await expect(rows.nth(1)).toContainText('Beta') // 1 %, half of it from the buyer: dearer
  await expect(rows.nth(1)).toContainText('50,251')
  await buyer.go(`servers/${beta.pubkey}`)
  await expect(buyer.page.getByText('1, gift wrap').first()).toBeVisible()
  await buyer.screenshot('desktop-two-servers')
  await buyer.take(id, undefined, beta.pubkey)
  const hint = await buyer.page.getByText(/Paste a Lightning invoice of/).textContent()
  expect(hint).toContain('19,900')
  await buyer.page.getByLabel('Invoice or address').fill((await world.tell<{ bolt11: string }>('invoice', { wallet: buyer.wallet, sats: 19900, exchange: 1 })).bolt11)
  await buyer.button('Use this').click()
  expect(await seller.payHold()).toBe(20100)
  await Promise.all([seller.status('active'), buyer.status('active')])
  await buyer.fiatSent()
  await seller.status('fiat-sent')
  await seller.release()
  await Promise.all([seller.status('success'), buyer.status('success')])
})

test('a step that nobody takes in time: the order goes back to the book, or ends', async ({ enter }) => {
  const { person } = await enter('-option', 'mostro-expiration-seconds=10')
  const seller = await person('seller')
  const buyer = await person('buyer')
  const id = await seller.makeOrder({ kind: 'sell', sats: 10000, fiat: 10 })
  await buyer.take(id)
  await buyer.status('waiting-buyer-invoice')
  await expect(buyer.page.getByText('the offer goes back to the book and you are out of it')).toBeVisible()
  await expect(buyer.head()).toHaveAttribute('data-status', 'canceled', { timeout: 90_000 })
  await seller.status('pending')
  await buyer.take(id)
  await buyer.giveInvoice()
  await seller.status('waiting-payment')
  await expect(seller.page.getByText('the trade is canceled').first()).toBeVisible()
  await expect(seller.head()).toHaveAttribute('data-status', 'canceled', { timeout: 90_000 })
  await buyer.status('canceled')
})

test('a server that is down in the middle of a trade answers late, and the page waits and says so', async ({ enter }) => {
  const { world, person } = await enter()
  const seller = await person('seller')
  const buyer = await person('buyer')
  const id = await seller.makeOrder({ kind: 'sell', sats: 10000, fiat: 10 })
  await buyer.take(id)
  await buyer.giveInvoice()
  await seller.payHold()
  await Promise.all([seller.status('active'), buyer.status('active')])
  await world.tell('exchange', { do: 'kill' })
  await buyer.button('I have sent the money').click()
  await buyer.button('Yes, it is sent').click()
  await expect(buyer.page.getByText('The server has not answered')).toBeVisible({ timeout: 40_000 })
  await buyer.reload()
  await expect(buyer.page.getByText('The server has not answered')).toBeVisible({ timeout: 40_000 })
  await buyer.button('Say it again').click()
  await world.tell('exchange', { do: 'start' })
  await buyer.status('fiat-sent')
  await expect(buyer.page.getByText('The server has not answered')).toBeHidden()
  await seller.status('fiat-sent')
  await seller.release()
  await Promise.all([seller.status('success'), buyer.status('success')])
  expect((await world.balance(buyer.wallet)).sats).toBe(purse + 10_000)
})

test('devices whose clocks are hours off still trade, and say so', async ({ browser }) => {
  const world = await World.start()
  const seller = await Person.arrive(browser, world, 'late', { clock: -7200 })
  const buyer = await Person.arrive(browser, world, 'early', { clock: 7200 })
  for (const p of [seller, buyer]) await expect(p.page.getByText('The clock of this device is off by about')).toBeVisible({ timeout: 40_000 })
  const id = await seller.makeOrder({ kind: 'sell', sats: 10000, fiat: 10 })
  await buyer.take(id)
  await buyer.giveInvoice()
  await seller.payHold()
  await Promise.all([seller.status('active'), buyer.status('active')])
  await seller.say('what time is it')
  await buyer.hears('what time is it')
  await buyer.fiatSent()
  await seller.status('fiat-sent')
  await seller.release()
  await Promise.all([seller.status('success'), buyer.status('success')])
  await seller.leave()
  await buyer.leave()
  await world.stop()
})

test('an encrypted picture goes to the other side, and its host learns nothing of it', async ({ enter }) => {
  const { world, person } = await enter()
  const seller = await person('seller')
  const buyer = await person('buyer')
  const blobs = new Map<string, Buffer>()
  for (const p of [seller, buyer]) {
    p.chosen.add('files.example')
    await p.context.route('https://files.example/**', async (route) => {
      const r = route.request()
      const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'access-control-allow-methods': '*' }
      if (r.method() === 'PUT') blobs.set('only', r.postDataBuffer()!)
      await route.fulfill(r.method() === 'GET' ? { status: 200, headers, body: blobs.get('only')! } : { status: 200, headers, body: '{}' })
    })
  }
  await seller.go('settings')
  await seller.page.getByLabel('Address of a file server').fill('https://files.example')
  await seller.page.getByLabel('Address of a file server').press('Enter')
  const id = await seller.makeOrder({ kind: 'sell', sats: 10000, fiat: 10 })
  await buyer.take(id)
  await buyer.giveInvoice()
  await seller.payHold()
  await Promise.all([seller.status('active'), buyer.status('active')])
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAFElEQVR4nGP8z8DAwMDAxMDAAAMADgYBBOUZEwMAAAAASUVORK5CYII=', 'base64')
  await seller.page.locator('.chat input[type=file]').setInputFiles({ name: 'receipt.png', mimeType: 'image/png', buffer: png })
  await seller.button('Encrypt and send').click()
  await expect(buyer.page.getByText('Encrypted file: receipt.png')).toBeVisible()
  expect(blobs.get('only')!.includes(png.subarray(0, 20))).toBe(false)
  await buyer.button('Fetch and open').click()
  await expect(buyer.page.getByRole('img', { name: 'Encrypted file: receipt.png' })).toBeVisible()
  await world.tell('audit')
})

test('the page opens from disk, and trades', async ({ browser }) => {
  const world = await World.start()
  const page = await (await browser.newContext()).newPage()
  const file = fileURLToPath(new URL('../dist/index.html', import.meta.url))
  await world.tell('seed', { count: 20 })
  await page.goto(`file://${file}#/?relay=${encodeURIComponent(world.at.relays[0]!)}`)
  await expect(page.locator('.offer').first()).toBeVisible()
  await expect(page.locator('.offer.unsure')).toHaveCount(0)
  await page.context().close()
  await world.stop()
})
