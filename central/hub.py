"""Fan-out of committed events to the pages that listen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence

from central.store.interface import Event


class Subscription:
    """One page's bounded queue; ``None`` at its end means: reconnect."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self.is_closed = False

    async def next(self, timeout_s: float) -> Event | None:
        """Return the next event; None when the subscription is over. Raises TimeoutError."""
        return await asyncio.wait_for(self._queue.get(), timeout_s)

    def offer(self, events: Iterable[Event]) -> None:
        """Queue events (on the page's own loop); a page that fell behind is let go."""
        if self.is_closed:
            return
        for event in events:
            if self._queue.qsize() >= self._limit:
                self.end()
                return
            self._queue.put_nowait(event)

    def end(self) -> None:
        """Close after what is queued already."""
        if not self.is_closed:
            self.is_closed = True
            self._queue.put_nowait(None)


class Hub:
    """Passes events from the ingest thread to the loops of the pages. Thread-safe."""

    def __init__(self, queue_events: int = 256) -> None:
        self._queue_events = queue_events
        self._lock = threading.Lock()
        self._subscriptions: dict[Subscription, asyncio.AbstractEventLoop] = {}
        self._is_closed = False

    def subscribe(self) -> Subscription:
        """Begin to listen; to be called on the loop that will read."""
        loop = asyncio.get_running_loop()
        subscription = Subscription(self._queue_events)
        with self._lock:
            if self._is_closed:
                subscription.end()
            else:
                self._subscriptions[subscription] = loop
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop to listen."""
        with self._lock:
            self._subscriptions.pop(subscription, None)

    def publish(self, events: Sequence[Event]) -> None:
        """Hand events to everyone who listens, without waiting for any of them."""
        with self._lock:
            for subscription, loop in list(self._subscriptions.items()):
                if subscription.is_closed or loop.is_closed():
                    del self._subscriptions[subscription]
                else:
                    loop.call_soon_threadsafe(subscription.offer, events)

    def close(self) -> None:
        """End every stream, now and from now on."""
        with self._lock:
            self._is_closed = True
            for subscription, loop in self._subscriptions.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(subscription.end)
            self._subscriptions.clear()

    @property
    def listeners(self) -> int:
        """Pages that listen now."""
        with self._lock:
            return len(self._subscriptions)
