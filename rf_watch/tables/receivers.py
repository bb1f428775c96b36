"""Weaknesses of the receivers: third-order intercept, images, spurs of their own.

Every figure is an assumption of ours to be replaced by a measurement of the very device; none was
measured. They decide only whether a phantom is *possible*: too low an intercept hides more.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.readings import SweepDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverRow:
    """One kind of receiver."""

    device: SweepDevice
    iip3_dbm: float | None
    """Input intercept; None: levels are relative, products are judged by the rejection alone."""
    rejection_db: float
    """How far below its weaker parent a product at least stays, as long as nothing clips."""
    image_offsets_mhz: tuple[float, ...] = ()
    """A strong carrier shows again at so many MHz beside itself."""
    image_rejection_db: float = 60.0
    spurs_mhz: tuple[float, ...] = ()
    """Frequencies of its own clocks inside the band."""
    basis: str


RECEIVERS: dict[SweepDevice, ReceiverRow] = {
    row.device: row
    for row in (
        ReceiverRow(
            device=SweepDevice.TINYSA,
            iip3_dbm=10.0,
            rejection_db=20.0,
            image_offsets_mhz=(),
            spurs_mhz=(),
            basis="assumed; passive mixer without preamplifier",
        ),
        ReceiverRow(
            device=SweepDevice.RF_EXPLORER,
            iip3_dbm=-10.0,
            rejection_db=20.0,
            basis="assumed; integrated transceiver",
        ),
        ReceiverRow(
            device=SweepDevice.RTL_POWER,
            iip3_dbm=None,
            rejection_db=20.0,
            image_offsets_mhz=(7.14, -7.14),
            image_rejection_db=45.0,
            spurs_mhz=(100.8, 86.4),
            basis="assumed; twice the 3.57 MHz intermediate frequency, multiples of the 28.8 MHz "
            "crystal",
        ),
        ReceiverRow(
            device=SweepDevice.HACKRF_SWEEP,
            iip3_dbm=None,
            rejection_db=20.0,
            spurs_mhz=(100.0, 90.0),
            basis="assumed; multiples of the 10 MHz reference",
        ),
        ReceiverRow(
            device=SweepDevice.FM_TUNER,
            iip3_dbm=0.0,
            rejection_db=30.0,
            image_offsets_mhz=(21.4, -21.4),
            image_rejection_db=60.0,
            basis="assumed; twice the 10.7 MHz intermediate frequency",
        ),
        ReceiverRow(
            device=SweepDevice.OTHER,
            iip3_dbm=None,
            rejection_db=20.0,
            basis="assumed; a log that does not say what measured it",
        ),
    )
}
"""By kind of device."""
