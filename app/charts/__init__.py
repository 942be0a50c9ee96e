"""Charts: a catalogue of functions from answers to Vega-Lite specifications, and pictures of them."""
