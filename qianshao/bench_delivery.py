"""What delivery costs: durable enqueue, the whole way to the receipt, and ingest, against peers."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from contract.clock import SystemClock, machine_boot_id
from contract.messages import Body
from contract.topics import Lane
from contract.words import Presence
from edge_agent.identity import Identity, find_central
from edge_agent.outbox import Outbox
from mqtt_bridge.ports import BrokerAddress, TlsFiles
from mqtt_bridge.uplink import Uplink
from qianshao.bench_raw import make_client, publish_all
from qianshao.bench_samples import sample_bodies
from qianshao.fleet.site import TENANT, FleetSite, prepare

RUNS = 3
MESSAGES = 4000
_HAND_OVER = 200
_PATIENCE_S = 120.0


class Site:
    """A broker under mutual TLS with a real central and a raw consumer, each its own process."""

    def __init__(self, folder: Path, broker: str = "nats") -> None:
        self.fleet: FleetSite = prepare(folder / "site", ["station-1", "peer-1"], broker)
        self.topic = f"v1/{TENANT}/up/peer-1/raw/x"  # the central takes nothing of this depth
        tls = self.fleet.folder / "central-tls"
        files = [self.fleet.ca, *sorted(tls.glob("*.pem")), *sorted(tls.glob("*.key"))]
        self._log = (folder / "central.log").open("wb")
        config = str(self.fleet.central_config)
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "qianshao", "central", "--config", config],
                stdout=self._log,
                stderr=self._log,
            )
        ]
        command = [sys.executable, "-m", "qianshao.bench_raw", str(self.fleet.broker.port)]
        consumer = subprocess.Popen(
            [*command, self.topic, *map(str, files)], stdout=subprocess.PIPE
        )
        self._processes.append(consumer)
        assert consumer.stdout is not None
        if consumer.stdout.readline() != b"ready\n":
            raise OSError("the raw consumer did not come up")

    def papers(self, device: str) -> TlsFiles:
        """TLS files of a device."""
        identity = Identity.load_or_create(self.fleet.folder / device, device)
        certificate = self.fleet.folder / device / "tls.pem"
        return identity.tls_files(ca=self.fleet.ca, certificate=certificate)

    def close(self) -> None:
        """End every process."""
        for process in self._processes:
            process.terminate()
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
        self.fleet.broker.stop()
        self._log.close()


class Sender:
    """A real outbox and uplink, as an agent has them."""

    def __init__(self, site: Site, path: Path) -> None:
        fleet, device = site.fleet, "station-1"
        identity = Identity.load_or_create(fleet.folder / device, device)
        self.outbox = Outbox.open(
            path,
            tenant=TENANT,
            device=device,
            signer=identity.signer,
            clock=SystemClock(),
            boot_id=machine_boot_id(),
            central_keys=find_central(fleet.central_key),
        )
        self.uplink = Uplink(
            BrokerAddress(host="127.0.0.1", port=fleet.broker.port, tls=site.papers(device)),
            TENANT,
            device,
            self.outbox,
            _no_state,
        )
        self.uplink.start()

    def send(self, bodies: Sequence[tuple[Body, Lane]]) -> float:
        """Hand everything over; seconds until the last receipt is in."""
        started = time.perf_counter()
        for first in range(0, len(bodies), _HAND_OVER):
            for done in self.outbox.put_many(bodies[first : first + _HAND_OVER]):
                done.result(_PATIENCE_S)
        while depth := self.outbox.stats().depth:
            if time.perf_counter() - started > _PATIENCE_S:
                raise TimeoutError(f"{depth} messages are without a receipt")
            time.sleep(0.01)
        return time.perf_counter() - started

    def close(self) -> None:
        """Stop sending and close the store."""
        self.uplink.stop()
        self.outbox.close()


def _no_state(presence: Presence) -> bytes:
    return presence.value.encode()


def sustained(
    broker: str = "nats", messages: int = MESSAGES, runs: int = RUNS
) -> tuple[float, float]:
    """Messages a second: sign, enqueue, publish, receipt; and raw paho QoS 1 of the same size."""
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = Site(folder, broker)
        try:
            sender = Sender(site, folder / "outbox.sqlite3")
            sender.send(sample_bodies(200, run=-1))
            size = len(sender.outbox.last_receipt() or b"") and 420
            files = site.papers("peer-1")
            for run in range(runs):
                ours.append(messages / sender.send(sample_bodies(messages, run)))
                raw = make_client("peer-1", files.ca, files.certificate, files.private_key)
                payloads = [os.urandom(size)] * messages
                took = publish_all(raw, site.fleet.broker.port, site.topic, payloads)
                peer.append(messages / took)
            sender.close()
        finally:
            site.close()
    return statistics.median(ours), statistics.median(peer)


if __name__ == "__main__":
    print(sustained(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
