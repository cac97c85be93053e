// A feature under test: a shop that shows a button and reports what is bought.

export function buy(client, visitor, price) {
  client.activate("checkout_button", visitor, { plan: "pro" });
  client.track("purchase", visitor, { plan: "pro" }, { revenue: price, sku: "A1" });
}

// The fault that the test is to find: the price goes out in whole units, not in cents.
export function buyAsItWas(client, visitor, price) {
  buy(client, visitor, price / 100);
}
