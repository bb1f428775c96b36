"""Starts the application of the chosen slot."""

import gc
import sys

import machine
import slots


def start():
    """Run for ever. An image on trial that cannot even start gives up its try."""
    chosen = slots.start("" if sys.platform == "linux" else "/", False)  # boot.py has chosen
    try:
        from sniffer.link import make_lanes

        lanes = make_lanes()
        board = __import__("board_" + sys.platform)
        from sniffer.app import App

        gc.collect()
        app = App(board.make(), chosen, lanes)
        gc.collect()
        app.run()
    except Exception as error:
        sys.print_exception(error, sys.stderr)
        if not chosen.is_trial:
            raise
        machine.reset()
        raise


start()
