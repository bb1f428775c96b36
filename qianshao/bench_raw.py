"""The peer of the delivery bench: paho with QoS 1 and nothing else, at both ends of a broker.

Run as a program it is the consumer: ``python -m qianshao.bench_raw PORT TOPIC CA CERTIFICATE KEY``.
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

WINDOW = 100
"""PUBACKs outstanding; paho gains nothing beyond that."""

_PATIENCE_S = 60.0


def make_client(name: str, ca: Path, certificate: Path, private_key: Path) -> paho.Client:
    """A client with paho's own thread to come, under mutual TLS, without Nagle's delay."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, private_key)
    client.tls_set_context(context)
    client.max_inflight_messages_set(WINDOW)
    return client


def publish_for(
    client: paho.Client, port: int, topic: str, payload: bytes, seconds: float
) -> float:
    """Publish for so long; PUBACKs a second, with the window full all the time."""
    room, is_up, acked = threading.Semaphore(2 * WINDOW), threading.Event(), 0

    def on_publish(*_: object) -> None:
        nonlocal acked
        acked += 1
        room.release()

    client.on_publish = on_publish
    client.on_connect = lambda *_: is_up.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        if not is_up.wait(_PATIENCE_S):
            raise TimeoutError("the broker does not answer the peer")
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            if not room.acquire(timeout=_PATIENCE_S):
                raise TimeoutError("the broker keeps its PUBACKs")
            if client.publish(topic, payload, qos=1).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                raise ConnectionError("the peer lost its broker")
        return acked / (time.perf_counter() - started)
    finally:
        client.disconnect()
        client.loop_stop()


def _ignore(_: object) -> None:
    return None


def main() -> None:
    """Consume a topic for ever; says ``ready`` when the broker has granted it."""
    port, topic, files = int(sys.argv[1]), sys.argv[2], [Path(name) for name in sys.argv[3:]]
    client = make_client("peer-consumer", files[0], files[1], files[2])
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_connect = lambda *_: _ignore(client.subscribe(topic, qos=1))
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main()
