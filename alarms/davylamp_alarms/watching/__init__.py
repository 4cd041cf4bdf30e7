"""Watches: statistical rules over a plant's tags as a person configures them, trained on history, led through rows."""
