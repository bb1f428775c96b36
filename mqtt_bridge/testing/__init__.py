"""Test tools of the transport: brokers that misbehave and lines that break.

They are part of the product so that an integrator can try another client, or another broker's
clients, against the same mischief. Nothing here is imported by an agent or a central.
"""

from mqtt_bridge.testing.hostile import HostileBroker, Trick
from mqtt_bridge.testing.peer import RawPeer
from mqtt_bridge.testing.proxy import FaultProxy, Faults

__all__ = ["FaultProxy", "Faults", "HostileBroker", "RawPeer", "Trick"]
