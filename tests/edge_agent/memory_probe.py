"""An outbox and its uplink in a process of their own; prints what waits and the resident memory."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from contract.clock import SystemClock
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.uplink import Uplink
from tests.edge_agent.outboxes import DEVICE, TENANT, Bench


def main() -> None:
    address = BrokerAddress(host="127.0.0.1", port=int(sys.argv[2]))
    with Bench(Path(sys.argv[1])).open(clock=SystemClock()) as outbox:
        uplink = Uplink(address, TENANT, DEVICE, outbox, lambda presence: presence.value.encode())
        uplink.start()
        while True:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(outbox.stats().depth, pages * os.sysconf("SC_PAGE_SIZE"), flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    main()
