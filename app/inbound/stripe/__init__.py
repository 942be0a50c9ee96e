"""What the events of Stripe mean; `app.inbound.catalogue.stripe` is the entry of the catalogue."""
