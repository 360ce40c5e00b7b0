import type { Event } from '../src/lib/event'
import { sign } from '../src/lib/event'
import { keyOf } from '../src/lib/keys'
import type { Page } from '@playwright/test'
import { expect, test } from './world'

/** Puts an event on a relay, as any client can. */
const publish = (page: Page, relay: string, event: Event): Promise<void> =>
  page.evaluate(
    ([url, e]) =>
      new Promise<void>((resolve, reject) => {
        const ws = new WebSocket(url)
        ws.onopen = () => ws.send(JSON.stringify(['EVENT', e]))
        ws.onmessage = () => (ws.close(), resolve())
        ws.onerror = () => reject(new Error('no relay'))
      }),
    [relay, event] as const,
  )

const now = (): number => Math.floor(Date.now() / 1000)
const stranger = keyOf(new Uint8Array(32).fill(9))

test('what strangers publish is shown as text, and a forged offer cannot be taken', async ({ person, world }) => {
  const p = await person('reader')
  const nasty = '<img src=x onerror=alert(1)>'
  const offer = (d: string, over: string[][] = []): Event =>
    sign({
      kind: 38383, created_at: now(), content: nasty,
      tags: [['d', d], ['k', 'sell'], ['f', 'XTS'], ['s', 'pending'], ['amt', '1000'], ['fa', '7'], ['pm', nasty, 'javascript:alert(1)'], ['premium', '0'], ['y', 'mostro', nasty], ['z', 'order'], ['expires_at', String(now() + 999)], ...over],
    }, stranger)
  await publish(p.page, world.at.relays[0]!, sign({ kind: 38385, created_at: now(), content: '', tags: [['d', stranger.pub], ['y', 'mostro', nasty], ['z', 'info'], ['fee', '0.01'], ['mostro_version', nasty]] }, stranger))
  await publish(p.page, world.at.relays[0]!, offer('00000000-0000-4000-8000-000000000001'))
  await p.go('')
  await p.page.getByLabel('Currency').selectOption('XTS')
  await expect(p.page.getByText(nasty).first()).toBeVisible()
  expect(await p.page.locator('img').count()).toBe(0)
  await p.page.getByRole('link', { name: /7 XTS/ }).click()
  await expect(p.page.getByText('javascript:alert(1)')).toBeVisible()
  expect(await p.page.locator('a[href^="javascript"]').count()).toBe(0)
})

for (const phone of [false, true]) {
  const size = phone ? 'phone' : 'desktop'
  test(`every screen on a ${size} can be read by everybody`, async ({ person }) => {
    const seller = await person('seller', { phone })
    const buyer = await person('buyer', { phone })
    const look = async (p: typeof seller, name: string): Promise<void> => {
      await p.page.waitForTimeout(150) // colours of a press fade
      await p.screenshot(`${size}-${name}`)
      await p.axe()
    }
    await look(seller, 'trades-empty')
    await seller.makeOrder({ kind: 'sell', fiat: 25, premium: 1, method: 'SEPA, Revolut' })
    await seller.makeOrder({ kind: 'sell', range: [20, 200], method: 'Bizum' })
    await seller.makeOrder({ kind: 'buy', sats: 30000, fiat: 30, method: 'Wise' })
    const id = await seller.makeOrder({ kind: 'sell', sats: 50000, fiat: 49, method: 'SEPA, Bank transfer' })
    await look(seller, 'trade-pending')
    await buyer.go('')
    await expect(buyer.page.getByText('49 EUR')).toBeVisible()
    await look(buyer, 'offers')
    await buyer.button('More filters').click()
    await look(buyer, 'offers-filters')
    await buyer.go(`offer/${buyer.world.at.mostro}/${id}`)
    await buyer.button(/^Take it/).waitFor()
    await look(buyer, 'offer')
    await buyer.go('new')
    await buyer.page.getByLabel('Amount in EUR').fill('40')
    await buyer.button('Publish the order').click()
    await look(buyer, 'new')
    await buyer.take(id)
    await buyer.status('waiting-buyer-invoice')
    await buyer.page.getByLabel('Invoice or address').fill('nonsense')
    await look(buyer, 'trade-invoice')
    await buyer.giveInvoice()
    await seller.status('waiting-payment')
    await look(seller, 'trade-pay')
    await seller.payHold()
    await Promise.all([seller.status('active'), buyer.status('active')])
    await seller.say('Hello! Please send 49 EUR to ES00 1234 5678, name Ana.')
    await buyer.hears('ES00 1234 5678')
    await buyer.say('Sending it now.')
    await look(buyer, 'trade-active')
    await buyer.fiatSent()
    await seller.status('fiat-sent')
    await look(seller, 'trade-fiat-sent')
    await seller.button('Release the sats').click()
    await look(seller, 'release')
    await seller.button('Back').click()
    await seller.release()
    await buyer.status('success')
    await look(buyer, 'trade-done')
    await seller.go('trades')
    await look(seller, 'trades')
    await seller.go('servers')
    await look(seller, 'servers')
    await seller.go(`servers/${seller.world.at.mostro}`)
    await look(seller, 'server')
    await seller.go('settings')
    await look(seller, 'settings')
    await seller.page.getByRole('radio', { name: 'Dark' }).check({ force: true })
    await look(seller, 'settings-dark')
    await seller.page.getByLabel('Language').selectOption('es')
    await seller.go('trades')
    await seller.page.getByRole('heading', { name: 'Mis operaciones' }).waitFor()
    await look(seller, 'trades-dark-es')
    await seller.go('')
    await look(seller, 'offers-dark-es')
    await seller.page.evaluate(() => (document.documentElement.dir = 'rtl'))
    await seller.screenshot(`${size}-offers-rtl`)
    await seller.page.reload()
    await seller.go('trades')
    await look(seller, 'locked-dark-es')
  })
}

test('first keys, and a sell trade with the keyboard alone to the offer', async ({ browser, world }) => {
  const page = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage()
  await world.tell('partner', { do: 'make', kind: 'sell', sats: 10000, fiat: 'EUR', fiat_amount: 10 })
  await page.goto(`${world.at.page}#/trades`)
  await page.getByRole('heading', { name: 'First, your keys' }).waitFor()
  await page.screenshot({ path: 'test-results/screenshots/phone-first-keys.png', fullPage: true })
  await page.goto(`${world.at.page}#/`)
  await page.reload()
  await page.getByRole('list').waitFor()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('main')).toBeFocused()
  for (let i = 0; i < 12 && !(await page.evaluate(() => document.activeElement?.classList.contains('offer'))); i++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(/bitcoin/)
  await page.context().close()
})

test('the page’s policy allows nothing unsafe, in its header and in the page', async ({ page, world }) => {
  const res = await page.goto(world.at.page)
  const policies = [res!.headers()['content-security-policy'], await page.locator('meta[http-equiv]').getAttribute('content')]
  for (const p of policies) {
    expect(p).toContain("default-src 'none'")
    expect(p).toContain("script-src 'self'")
    expect(p).not.toMatch(/unsafe|\*(?!;| |$)/)
  }
  expect(res!.headers()).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
})
