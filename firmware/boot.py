"""Runs first at every start: chooses the slot and puts it first on the path."""

import sys

import machine
import slots

slots.start("" if sys.platform == "linux" else "/", machine.reset_cause() == machine.WDT_RESET)
