"""Options of ``qianshao fleet simulate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from qianshao.fleet.plan import Outage
from qianshao.fleet.traffic import Arrivals

BROKERS = ("nats", "mosquitto")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--stations", type=_count, default=20, metavar="N", help="default 20")
    parser.add_argument(
        "--backlog",
        type=int,
        default=0,
        metavar="N",
        help="messages that each station holds before all return at once (default 0)",
    )
    parser.add_argument(
        "--messages", type=int, default=100, metavar="N", help="then of each station (default 100)"
    )
    parser.add_argument(
        "--rate", type=float, default=2.0, metavar="R", help="messages/s of a station (default 2)"
    )
    parser.add_argument("--arrivals", choices=[a.value for a in Arrivals], default="poisson")
    parser.add_argument(
        "--outage",
        type=_outage,
        action="append",
        default=[],
        metavar="AFTER,SECONDS,SHARE",
        help="the line of a share of the stations is gone for a while; may be repeated",
    )
    parser.add_argument("--broker", choices=BROKERS, default="nats")
    parser.add_argument("--processes", type=_count, default=4, metavar="N", help="default 4")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals (default 0)")
    parser.add_argument(
        "--patience", type=float, default=900.0, metavar="S", help="end after so long (default 900)"
    )
    parser.add_argument("--folder", type=Path, help="keep everything here (default: nothing kept)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _outage(text: str) -> Outage:
    try:
        after_s, lasts_s, share = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("three numbers, as in 10,5,0.5") from None
    if after_s < 0 or lasts_s <= 0 or not 0 < share <= 1:
        raise argparse.ArgumentTypeError("AFTER >= 0, SECONDS > 0, 0 < SHARE <= 1")
    return Outage(after_s=after_s, lasts_s=lasts_s, share=share)
