"""How pico is trained; nothing here is needed to run it."""
