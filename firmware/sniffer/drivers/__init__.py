"""Tuner drivers. Each takes ``(bus, address, clock)`` and never imports ``machine``.

Whatever waits for a chip is a generator that yields while it waits, so that the link and the
watchdog go on; the caller drives it with ``yield from``.
"""
