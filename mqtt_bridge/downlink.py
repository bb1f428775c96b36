"""What a device is told, over the connection that its uplink keeps anyway."""

from __future__ import annotations

from typing import Protocol

import structlog

from contract import topics
from contract.topics import Channel

log = structlog.get_logger(__name__)


class DownlinkSink(Protocol):
    """Where what arrives is made durable."""

    def take(self, channel: Channel, payload: bytes) -> None:
        """Make a message durable before returning; raises if that is not possible now."""


class Downlink:
    """The downward topics of one device and the sink behind them."""

    def __init__(self, tenant: str, device: str, sink: DownlinkSink) -> None:
        self._sink = sink
        self.filter = topics.down_filter(tenant, device)
        self._channels = {
            topics.down(tenant, device, channel): channel
            for channel in Channel
            if channel is not Channel.RECEIPTS
        }
        self.arrived = 0
        self.not_taken = 0

    def deliver(self, topic: str, payload: bytes) -> bool:
        """Hand a message to the sink; False: it stays the broker's, which sends it again."""
        channel = self._channels.get(topic)
        if channel is None:
            return True
        self.arrived += 1
        try:
            self._sink.take(channel, payload)
        except Exception:
            # The disk may be full: the link lives on, and the central sends the order again.
            log.exception("downlink_not_taken", channel=channel.value)
            self.not_taken += 1
            return False
        return True
