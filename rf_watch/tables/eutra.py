"""E-UTRA downlink carriers: two EARFCN of overlapping bands may name one frequency.

TS 36.101 section 5.7.3: F_DL = F_DL_low + 0.1 (N_DL - N_Offs-DL), in MHz.
"""

from __future__ import annotations

_BANDS: tuple[tuple[int, int, int, int], ...] = (
    # band, F_DL_low in 100 kHz, N_Offs-DL, last N_DL (TS 36.101 table 5.7.3-1)
    (1, 21100, 0, 599),
    (2, 19300, 600, 1199),
    (3, 18050, 1200, 1949),
    (4, 21100, 1950, 2399),
    (5, 8690, 2400, 2649),
    (7, 26200, 2750, 3449),
    (8, 9250, 3450, 3799),
    (10, 21100, 4150, 4749),
    (12, 7290, 5010, 5179),
    (13, 7460, 5180, 5279),
    (14, 7580, 5280, 5379),
    (17, 7340, 5730, 5849),
    (18, 8600, 5850, 5999),
    (19, 8750, 6000, 6149),
    (20, 7910, 6150, 6449),
    (25, 19300, 8040, 8689),
    (26, 8590, 8690, 9039),
    (27, 8520, 9040, 9209),
    (28, 7580, 9210, 9659),
    (33, 19000, 36000, 36199),
    (34, 20100, 36200, 36349),
    (37, 19100, 37550, 37749),
    (38, 25700, 37750, 38249),
    (39, 18800, 38250, 38649),
    (40, 23000, 38650, 39649),
    (41, 24960, 39650, 41589),
    (42, 34000, 41590, 43589),
    (43, 36000, 43590, 45589),
    (66, 21100, 66436, 67335),
)


def downlink_100khz(earfcn: int) -> int | None:
    """Return the downlink carrier in units of 100 kHz; None for a band this table lacks."""
    for _, low, offset, last in _BANDS:
        if offset <= earfcn <= last:
            return low + earfcn - offset
    return None


def is_same_carrier(earfcn_a: int, earfcn_b: int) -> bool:
    """Return whether two EARFCN name one carrier (multi-band cells announce several)."""
    if earfcn_a == earfcn_b:
        return True
    a = downlink_100khz(earfcn_a)
    return a is not None and a == downlink_100khz(earfcn_b)
