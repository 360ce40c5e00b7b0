import { expect, test } from './world'

for (const way of [1, 2] as const) {
  test.describe(`by transport ${way}`, () => {
    test('a sell order is traded to its end, with a page that is reloaded at every step', async ({ person, world }) => {
      const seller = await person('seller', { way })
      const buyer = await person('buyer', { way, phone: true })
      const start = { seller: await world.balance(seller.wallet), buyer: await world.balance(buyer.wallet) }

      const id = await seller.makeOrder({ kind: 'sell', sats: 20000, fiat: 20 })
      await seller.reload()
      await seller.status('pending')
      await buyer.take(id)
      await buyer.status('waiting-buyer-invoice')
      await seller.status('waiting-buyer-invoice')
      await Promise.all([seller.reload(), buyer.reload()])
      await buyer.status('waiting-buyer-invoice')
      expect(await buyer.giveInvoice()).toBe(20000)
      await buyer.status('waiting-payment')
      await seller.status('waiting-payment')
      await Promise.all([seller.reload(), buyer.reload()])
      expect(await seller.payHold()).toBe(20120)
      await Promise.all([seller.status('active'), buyer.status('active')])
      await Promise.all([seller.reload(), buyer.reload()])

      await seller.say('IBAN XX00 1234 <b>bold</b> <img src=x onerror=alert(1)>')
      await buyer.hears('IBAN XX00 1234 <b>bold</b> <img src=x onerror=alert(1)>')
      await buyer.say('on its way')
      await seller.hears('on its way')

      await buyer.fiatSent()
      await seller.status('fiat-sent')
      await Promise.all([seller.reload(), buyer.reload()])
      await buyer.hears('on its way')
      await seller.release()
      await Promise.all([seller.status('success'), buyer.status('success')])
      await Promise.all([seller.reload(), buyer.reload()])
      await seller.rate(5)
      await buyer.rate(4)

      const end = { seller: await world.balance(seller.wallet), buyer: await world.balance(buyer.wallet) }
      expect(end.buyer.sats - start.buyer.sats).toBe(20000)
      expect(start.seller.sats - end.seller.sats - end.seller.locked).toBeGreaterThanOrEqual(20120)
      expect(await world.status(id)).toBe('success')
    })
  })
}
