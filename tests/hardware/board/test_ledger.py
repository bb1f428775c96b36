"""The ledger: gaps, wraps, restarts; against a counter that sees everything."""

from __future__ import annotations

import random

from hardware.board.ledger import Ledger


def test_gaps_and_the_wrap() -> None:
    ledger = Ledger()
    ledger.take(65533)
    ledger.confirm(7, 65533, 65533)
    for seq in (65534, 1, 2):  # 65535 and 0 are lost
        ledger.take(seq)
    assert ledger.lost == 2 + 65533
    ledger.take(4)
    ledger.confirm(7, 65536 + 4, 4)
    assert ledger.lost == 3 + 65533
    assert ledger.boots[0].sent == 65536 + 5


def test_more_lost_than_numbers_there_are() -> None:
    ledger = Ledger()
    ledger.take(0)
    ledger.confirm(7, 0, 0)
    ledger.split()
    ledger.take(3)
    ledger.confirm(7, 3 * 65536 + 3, 3)
    assert ledger.lost == 3 * 65536 + 2


def test_a_heartbeat_that_waited_in_the_queue() -> None:
    ledger = Ledger()
    ledger.take(12)
    ledger.confirm(7, 9, 12)  # made when 9 were sent, sent as the thirteenth
    assert (ledger.boots[0].sent, ledger.lost) == (13, 12)


def test_any_losses_and_restarts_are_counted_exactly() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        ledger = Ledger()
        wanted: list[tuple[int, int]] = []
        for boot in range(rng.randint(1, 4)):
            sent = received = 0
            for _ in range(rng.randint(1, 400)):
                loss = rng.choice((0, 0, 0, 1, 5))
                sent += loss
                is_naming = sent == loss or rng.random() < 0.1
                ledger.take(sent % 65536)
                received += 1
                sent += 1
                if is_naming:
                    ledger.confirm(
                        boot, sent - 1 - rng.randint(0, min(3, sent - 1)), (sent - 1) % 65536
                    )
            ledger.take(sent % 65536)
            ledger.confirm(boot, sent, sent % 65536)
            wanted.append((sent + 1, received + 1))
            ledger.split()
        assert [(b.sent, b.received) for b in ledger.boots] == wanted, seed
