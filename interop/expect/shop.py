"""A feature under test: a shop that shows a button and reports what is bought."""


def buy(client, visitor, price):
    user = client.create_user_context(visitor, {"plan": "pro"})
    client.activate("checkout_button", visitor, {"plan": "pro"})
    user.track_event("purchase", {"revenue": price, "sku": "A1"})


def buy_as_it_was(client, visitor, price):
    """The fault that the test is to find: the price goes out in whole units, not in cents."""
    buy(client, visitor, price // 100)
