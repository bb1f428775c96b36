"""``machine`` for the unix port: what the board's code asks for, and files for what is outside.

The watchdog is a file whose content changes with each feed; the test that runs the board kills it
when the file stands still, as the chip would.
"""

import os
import sys
import time

PWRON_RESET = 1
WDT_RESET = 3
SOFT_RESET = 5
RESET_STATUS = 74


def reset_cause():
    return int(os.getenv("BOARD_RESET_CAUSE") or PWRON_RESET)


def reset():
    sys.exit(RESET_STATUS)


def unique_id():
    return b"\xe6\x61\x38\x10\x00\x00\x00\x01"


def idle():
    time.sleep_ms(1)


class WDT:
    def __init__(self, timeout):
        self._timeout = timeout
        self._fed = 0
        self.feed()

    def feed(self):
        now = time.ticks_ms()
        if not self._fed or time.ticks_diff(now, self._fed) > 50:
            self._fed = now
            with open("watchdog", "w") as file:
                file.write("%d %d" % (self._timeout, now))
