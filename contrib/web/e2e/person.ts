// A person with a browser and a Lightning wallet. What he does goes through the page, by the names that a screen reader
// would say.

import { mkdirSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import { expect, type Browser, type BrowserContext, type Page } from '@playwright/test'
import type { World } from './world'

export const passphrase = 'correct horse battery'
let counter = 0

export const shots = 'test-results/screenshots'
mkdirSync(shots, { recursive: true })

export class Person {
  /** what the page tried to reach beside the relays and its own host, and what the browser blocked or complained of */
  readonly trespasses: string[] = []
  readonly wallet: string
  /** hosts that the user himself sends something to */
  readonly chosen = new Set<string>()

  private constructor(
    readonly name: string,
    readonly world: World,
    readonly context: BrowserContext,
    public page: Page,
  ) {
    this.wallet = `${name}-${++counter}`
    this.watch(page)
  }

  static async arrive(browser: Browser, world: World, name: string, over: { phone?: boolean; way?: 1 | 2; private?: boolean; clock?: number }): Promise<Person> {
    const context = await browser.newContext({
      viewport: over.phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
      ...(over.phone ? { deviceScaleFactor: 2, isMobile: true, hasTouch: true } : {}), locale: 'en-GB',
    })
    const p = new Person(name, world, context, await context.newPage())
    if (over.clock) {
      await context.addInitScript((off) => {
        const real = Date.now
        Date.now = () => real() + off * 1000
      }, over.clock)
    }
    await p.page.goto(world.at.page)
    if (over.way) await p.setWay(over.way)
    await p.makeKeys(over.private ?? false)
    return p
  }

  watch(page: Page): void {
    const allowed = [this.world.at.page, ...this.world.at.relays].map((u) => new URL(u).host)
    const look = (url: string): void => {
      const u = new URL(url)
      if (!['blob:', 'data:'].includes(u.protocol) && !allowed.includes(u.host) && !this.chosen.has(u.host)) this.trespasses.push(url)
    }
    page.on('request', (r) => look(r.url()))
    page.on('websocket', (w) => look(w.url()))
    page.on('console', (m) => {
      if (m.text().includes('Content Security Policy') || m.text().includes('Refused to')) this.trespasses.push(m.text())
    })
    page.on('pageerror', (e) => this.trespasses.push(`error: ${e.stack ?? e.message}`))
  }

  async leave(): Promise<void> {
    expect(this.trespasses, `${this.name}'s page kept to itself`).toEqual([])
    await this.context.close()
  }

  go = (path: string): Promise<unknown> => this.page.goto(`${this.world.at.page}#/${path}`)
  button = (name: string | RegExp) => this.page.getByRole('button', { name, exact: typeof name === 'string' })
  head = () => this.page.locator('h1[data-status]')
  pick = (name: string): Promise<void> => this.page.getByRole('radio', { name, exact: true }).check({ force: true })
  status = (status: string): Promise<void> => expect(this.head()).toHaveAttribute('data-status', status)

  async setWay(way: 1 | 2): Promise<void> {
    await this.go(`servers/${this.world.at.mostro}`)
    await this.page.getByLabel('Speak to it by').selectOption(String(way))
  }

  async makeKeys(full: boolean): Promise<void> {
    await this.go('trades')
    await this.page.getByRole('heading', { name: 'First, your keys' }).waitFor()
    if (full) await this.pick('Full privacy')
    await this.page.getByLabel('Passphrase', { exact: true }).fill(passphrase)
    await this.page.getByLabel('Passphrase again').fill(passphrase)
    await this.button('Encrypt and save').click()
    await this.page.getByText('No trades yet').waitFor()
  }

  async unlock(page = this.page): Promise<void> {
    await page.getByLabel('Passphrase', { exact: true }).fill(passphrase)
    await page.getByRole('button', { name: 'Unlock', exact: true }).click()
    await page.getByLabel('Passphrase', { exact: true }).waitFor({ state: 'detached' })
  }

  /** Closes the page and opens it again, as a person does who comes back later. */
  async reload(): Promise<void> {
    await this.page.reload()
    await this.unlock()
  }

  /** Publishes an order and returns its id. */
  async makeOrder(o: { kind: 'buy' | 'sell'; sats?: number; fiat?: number; range?: [number, number]; premium?: number; method?: string; server?: string }): Promise<string> {
    const { page } = this
    await this.go('new')
    await this.pick(o.kind === 'sell' ? 'sell bitcoin' : 'buy bitcoin')
    if (o.server) await page.getByLabel('On which server').selectOption({ label: o.server })
    await page.getByLabel('Payment methods').fill(o.method ?? `SEPA ${this.wallet}`)
    if (o.sats) {
      await this.pick('Fixed amount of sats')
      await page.getByLabel('Sats', { exact: true }).fill(String(o.sats))
    } else if (o.premium) await page.getByLabel('Premium, %').fill(String(o.premium))
    if (o.range) {
      await this.pick('A range, the taker chooses')
      await page.getByLabel('From (EUR)').fill(String(o.range[0]))
      await page.getByLabel('To (EUR)').fill(String(o.range[1]))
    } else await page.getByLabel('Amount in EUR').fill(String(o.fiat ?? 10))
    await this.button('Publish the order').click()
    await this.status('pending')
    return this.orderID()
  }

  async orderID(): Promise<string> {
    const details = this.page.locator('details', { hasText: 'Details' })
    if (!(await details.evaluate((d: HTMLDetailsElement) => d.open))) await details.locator('summary').click()
    return (await details.locator('div', { hasText: /^Order/ }).locator('dd').textContent())!
  }

  async take(id: string, fiat?: number, server = this.world.at.mostro): Promise<void> {
    await this.go(`offer/${server}/${id}`)
    if (fiat) await this.page.getByLabel(/How much, in EUR/).fill(String(fiat))
    await this.button(/^Take it/).click()
    await this.head().waitFor()
  }

  /** Pays the invoice on the screen from his wallet. */
  async payHold(): Promise<number> {
    await this.status('waiting-payment')
    const code = this.page.locator('code.invoice')
    const bolt11 = (await code.getAttribute('data-invoice'))!
    const asked = Number((await this.page.locator('.pay .big').textContent())!.replace(/\D/g, '')) // gone once it is paid
    await this.world.pay(this.wallet, bolt11)
    return asked
  }

  /** Gives an invoice of what the page asks for. */
  async giveInvoice(): Promise<number> {
    const hint = await this.page.getByText(/Paste a Lightning invoice of/).textContent()
    const sats = Number(/of ([\d,]+) sats/.exec(hint!)![1]!.replace(/\D/g, ''))
    await this.page.getByLabel('Invoice or address').fill(await this.world.invoice(this.wallet, sats))
    await this.button('Use this').click()
    return sats
  }

  async fiatSent(): Promise<void> {
    await this.button('I have sent the money').click()
    await this.button('Yes, it is sent').click()
    await this.status('fiat-sent')
  }

  async release(): Promise<void> {
    await this.button('Release the sats').click()
    await expect(this.button('Release for good')).toBeDisabled()
    for (const box of await this.page.getByRole('dialog').getByRole('checkbox').all()) await box.check()
    await this.button('Release for good').click()
  }

  async rate(stars: number): Promise<void> {
    await this.page.getByLabel(`${stars} of 5`).check({ force: true })
    await this.button('Send the rating').click()
    await expect(this.page.getByText(`You gave ${stars} of 5.`)).toBeVisible()
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel('Your message').fill(text)
    await this.button('Send').click()
    await expect(this.page.getByRole('log').getByText(text)).toBeVisible()
  }

  async hears(text: string): Promise<void> {
    await expect(this.page.getByRole('log').getByText(text)).toBeVisible()
  }

  async screenshot(name: string): Promise<void> {
    await this.page.evaluate(() => scrollTo(0, 0))
    await this.page.screenshot({ path: `${shots}/${name}.png`, fullPage: (this.page.viewportSize()?.width ?? 0) > 700 ? true : false })
  }

  /** No screen may be out of reach for somebody who cannot see it or use a mouse. */
  async axe(): Promise<void> {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze()
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`)).toEqual([])
  }
}
