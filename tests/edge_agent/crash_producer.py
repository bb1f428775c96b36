"""A process that enqueues until it is killed and prints ``seq number`` for each durable message."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from contract.topics import Lane
from tests.edge_agent.outboxes import Bench, numbered_detection


def main() -> None:
    folder, first, chance = Path(sys.argv[1]), int(sys.argv[2]), random.Random(sys.argv[2])
    with Bench(folder).open() as outbox:
        number = first
        while True:
            numbers = range(number, number + chance.choice([1, 1, 7, 150]))
            futures = outbox.put_many([(numbered_detection(n), Lane.EVIDENCE) for n in numbers])
            for told, future in zip(numbers, futures, strict=True):
                os.write(1, b"%d %d\n" % (future.result().seq, told))
            number = numbers.stop


if __name__ == "__main__":
    main()
