"""Downlink spectrum in which any operator of mainland China runs LTE or NR.

Whole blocks in MHz, whoever holds them: networks are shared, and one carrier has several numbers
(bands 38 and 41). State of the operators' band page of 2024-11; regional grants may be missing, so
a carrier outside is only a supporting reason.
"""

from __future__ import annotations

from rf_watch.tables.eutra import downlink_100khz

BLOCKS_MHZ: tuple[tuple[int, int, str], ...] = (
    (758, 788, "Broadnet, Mobile n28"),
    (869, 880, "Telecom B5"),
    (934, 960, "Mobile, Unicom B8"),
    (1805, 1880, "Mobile, Unicom, Telecom B3"),
    (1885, 1915, "Mobile B39"),
    (2010, 2025, "Mobile B34"),
    (2110, 2155, "Telecom, Unicom B1"),
    (2300, 2370, "Unicom, Mobile B40"),
    (2515, 2675, "Mobile B41, n41"),
    (3300, 3600, "Telecom, Unicom, Broadnet n78"),
    (4800, 4960, "Mobile, Broadnet n79"),
)

_NR_LOW, _NR_HIGH = 600_000, 2_016_666


def lte_mhz(earfcn: int) -> float | None:
    """Return the downlink carrier in MHz, None for a band that the table lacks."""
    found = downlink_100khz(earfcn)
    return None if found is None else found / 10


def nr_mhz(nr_arfcn: int) -> float | None:
    """Return the carrier in MHz (TS 38.104 section 5.4.2.1), None above 24.25 GHz."""
    if 0 <= nr_arfcn < _NR_LOW:
        return nr_arfcn * 0.005
    if _NR_LOW <= nr_arfcn <= _NR_HIGH:
        return 3000 + (nr_arfcn - _NR_LOW) * 0.015
    return None


def is_outside(mhz: float) -> bool:
    """Whether a carrier lies in no operator's block."""
    return not any(low <= mhz <= high for low, high, _ in BLOCKS_MHZ)
