"""Brokers that the central can run beside itself: one interface, one file for each kind."""

from mqtt_bridge.brokers.interface import (
    Broker,
    BrokerError,
    BrokerFailedError,
    BrokerMissingError,
    DeviceGrant,
    PortTakenError,
)
from mqtt_bridge.brokers.managed import Listener
from mqtt_bridge.brokers.mosquitto import MosquittoBroker
from mqtt_bridge.brokers.nats import NatsBroker

__all__ = [
    "Broker",
    "BrokerError",
    "BrokerFailedError",
    "BrokerMissingError",
    "DeviceGrant",
    "Listener",
    "MosquittoBroker",
    "NatsBroker",
    "PortTakenError",
]
