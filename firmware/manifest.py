"""What is frozen into a build of MicroPython that carries the application."""

metadata(
    version="0.1.0",
    description="Sniffer board: FM tuners and a modem behind one framed USB line",
    license="Apache-2.0",
)
# Of micropython-lib; its import is guarded: without it the REPL's own port carries the frames.
require("usb-device-cdc")
package("sniffer")
module("board_rp2.py")
module("board_esp32.py")
module("usb_port.py")
module("slots.py")
module("boot.py")
module("main.py")
