"""Runs first at every start: chooses the slot and puts it first on the path."""

import sys

import machine
from slots import Slots

ROOT = "" if sys.platform == "linux" else "/"
chosen = Slots(ROOT)
chosen.choose(machine.reset_cause() == machine.WDT_RESET)
if chosen.path is not None:
    sys.path.insert(0, chosen.path)
