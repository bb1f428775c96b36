"""Typed readings: what attached devices say, before anyone judges it.

Plain dataclasses, standard library only. Times are microseconds since 1970-01-01T00:00:00Z, levels
are dBm, channels are 3GPP numbers (ARFCN, EARFCN, NR-ARFCN).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

TimeBasisWord = Literal["live", "recorded", "synthetic"]
"""Where a reading's time comes from: now, the recording, or one poll a second from 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Position:
    """A WGS-84 position in degrees."""

    lat: float
    lon: float


class FixQuality(StrEnum):
    """What a position is worth (the quality indicator of NMEA 0183 GGA)."""

    NONE = "none"
    GNSS = "gnss"
    DIFFERENTIAL = "differential"
    RTK = "rtk"
    RTK_FLOAT = "rtk_float"
    ESTIMATED = "estimated"
    """Dead reckoning: the receiver goes on counting without satellites."""
    MANUAL = "manual"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """How good a reading's position is, and how old it was then."""

    quality: FixQuality
    age_s: float
    hdop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Where and when a reading was taken."""

    at_us: int
    """Time of the reading."""
    time_basis: TimeBasisWord
    sensor: str
    """Sensor of the device, e.g. ``modem0``."""
    file: str
    """Name of the port or recording, without a folder."""
    place: str
    """``packet 12``, ``line 3`` or ``offset 77``."""
    position: Position | None = None
    """Where the receiver was, if it knows."""
    is_checked: bool = False
    """The bytes passed a check of their own on the way (the air interface's CRC or Fire code)."""
    received_us: int | None = None
    """Agent's wall time when the bytes came in; None in a replay of a file."""
    fix: Fix | None = None
    """Quality and age of the position."""
    is_local_time: bool = False
    """The recording printed local time without a zone; ``at_us`` takes it for UTC."""


class Rat(StrEnum):
    """Radio access technology."""

    GSM = "GSM"
    WCDMA = "WCDMA"
    LTE = "LTE"
    NR = "NR"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReading:
    """One cell as a modem or a capture saw it; None means "not said"."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    """The bytes it was read from: for hashing, never for a log."""
    rat: Rat
    is_serving: bool
    plmns: tuple[str, ...] = ()
    """PLMNs as ``MCC-MNC`` in the order broadcast; several on a shared (MOCN) cell."""
    channel: int | None = None
    """ARFCN, UARFCN, EARFCN or NR-ARFCN."""
    lac_tac: int | None = None
    """LAC (GSM, WCDMA) or TAC (LTE, NR)."""
    cell_id: int | None = None
    """CI (16 bit), UTRAN cell id (28 bit), ECI (28 bit) or NCI (36 bit)."""
    physical_id: int | None = None
    """BSIC (0..63), PSC or PCI."""
    level_dbm: float | None = None
    """RXLEV (GSM), RSCP (WCDMA) or RSRP (LTE, NR)."""
    c1: int | None = None
    c2: int | None = None
    cro_db: int | None = None
    """CELL_RESELECT_OFFSET in dB (2 dB steps)."""
    penalty_time: int | None = None
    """0..31; 31 flips the sign of CRO (TS 45.008 section 6.4)."""
    t3212_decihours: int | None = None
    rxlev_access_min: int | None = None
    neighbours: int | None = None
    """Length of the neighbour list the cell announces."""
    neighbour_channels: tuple[int, ...] | None = None
    """The list itself (ARFCN of SI2, EARFCN of SIB5), where it was read whole."""
    own_channels: tuple[int, ...] | None = None
    """The cell's own carriers: the cell allocation of SI1."""
    routing_area: int | None = None
    """RAC of SI13, where GPRS is offered."""
    hysteresis_db: int | None = None
    """CELL_RESELECT_HYSTERESIS (GSM) or Q-Hyst (LTE)."""
    ms_txpwr_max_cch: int | None = None
    """MS_TXPWR_MAX_CCH, the control level of TS 45.005 section 4.1."""
    is_barred: bool | None = None
    bandwidth_rb: int | None = None
    """Downlink bandwidth in resource blocks (LTE)."""
    priority: int | None = None
    """Reselection priority of the cell's own carrier (SIB3), 0..7."""
    priority_lte: int | None = None
    """Highest priority given to another LTE carrier (SIB5)."""
    priority_utra: int | None = None
    """Highest priority given to a UTRA carrier (SIB6)."""
    priority_geran: int | None = None
    """Highest priority given to a group of GSM carriers (SIB7)."""


class Direction(StrEnum):
    """Direction of a signalling message."""

    UPLINK = "uplink"
    DOWNLINK = "downlink"
    UNKNOWN = "unknown"


class NasType(StrEnum):
    """EPS mobility management messages a detector looks at (TS 24.301 section 9.8)."""

    ATTACH_REQUEST = "attach_request"
    ATTACH_ACCEPT = "attach_accept"
    ATTACH_COMPLETE = "attach_complete"
    ATTACH_REJECT = "attach_reject"
    DETACH_REQUEST = "detach_request"
    DETACH_ACCEPT = "detach_accept"
    TAU_REQUEST = "tracking_area_update_request"
    TAU_ACCEPT = "tracking_area_update_accept"
    TAU_COMPLETE = "tracking_area_update_complete"
    TAU_REJECT = "tracking_area_update_reject"
    SERVICE_REQUEST = "service_request"
    EXTENDED_SERVICE_REQUEST = "extended_service_request"
    SERVICE_REJECT = "service_reject"
    GUTI_REALLOCATION_COMMAND = "guti_reallocation_command"
    AUTHENTICATION_REQUEST = "authentication_request"
    AUTHENTICATION_RESPONSE = "authentication_response"
    AUTHENTICATION_REJECT = "authentication_reject"
    AUTHENTICATION_FAILURE = "authentication_failure"
    IDENTITY_REQUEST = "identity_request"
    IDENTITY_RESPONSE = "identity_response"
    SECURITY_MODE_COMMAND = "security_mode_command"
    SECURITY_MODE_COMPLETE = "security_mode_complete"
    SECURITY_MODE_REJECT = "security_mode_reject"
    EMM_STATUS = "emm_status"
    EMM_INFORMATION = "emm_information"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class NasReading:
    """One NAS message between the sniffer's own test terminal and the network.

    Never carries a subscriber's identity: an identity in the message is not decoded.
    """

    stamp: Stamp
    raw: bytes = field(repr=False)
    """The bytes it was read from: for hashing, never for a log."""
    type: NasType
    direction: Direction
    cause: int | None = None
    """EMM cause (TS 24.301 annex A), e.g. 20 = MAC failure, 21 = synch failure."""
    identity_type: int | None = None
    """Of an identity request: 1 IMSI, 2 IMEI, 3 IMEISV, 4 TMSI (TS 24.008 section 10.5.5.9)."""
    ciphering: int | None = None
    """Selected EEA of a security mode command; 0 is the null cipher."""
    integrity: int | None = None
    """Selected EIA of a security mode command."""
    plmns: tuple[str, ...] = ()
    """PLMNs named in the message (TAI list of an accept)."""


class SignalType(StrEnum):
    """Signalling besides EPS NAS that a detector looks at."""

    RRC_SETUP = "rrc_connection_setup"
    RRC_RELEASE = "rrc_connection_release"
    RRC_SECURITY_MODE_COMMAND = "rrc_security_mode_command"
    RRC_OTHER = "rrc_other"
    CONNECTION_START = "connection_start"
    """CM service request or paging response: a dedicated connection begins."""
    CHANNEL_RELEASE = "channel_release"
    CIPHERING_MODE_COMMAND = "ciphering_mode_command"
    LU_REQUEST = "location_updating_request"
    LU_ACCEPT = "location_updating_accept"
    LU_REJECT = "location_updating_reject"
    MM_AUTHENTICATION_REQUEST = "mm_authentication_request"
    MM_AUTHENTICATION_RESPONSE = "mm_authentication_response"
    MM_AUTHENTICATION_REJECT = "mm_authentication_reject"
    MM_IDENTITY_REQUEST = "mm_identity_request"
    MM_OTHER = "mm_other"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingReading:
    """One message of LTE RRC, GSM RR or GSM MM between the test terminal and a cell.

    Never carries a subscriber's identity.
    """

    stamp: Stamp
    raw: bytes = field(repr=False)
    """The bytes it was read from: for hashing, never for a log."""
    rat: Rat
    type: SignalType
    direction: Direction
    channel: int | None = None
    cause: int | None = None
    """Reject cause (TS 24.008 section 10.5.3.6) or RR cause."""
    identity_type: int | None = None
    """Of an identity request: 1 IMSI, 2 IMEI, 3 IMEISV, 4 TMSI."""
    ciphering: int | None = None
    """Selected algorithm: EEA n, or 0 for A5/0 and n for A5/n."""
    integrity: int | None = None
    redirect: Rat | None = None
    """Technology that a release sends the terminal to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReading:
    """One short message that the test terminal received.

    The text is evidence: it stays with the agent, in no alert, log or repr.
    """

    stamp: Stamp
    raw: bytes = field(repr=False)
    """The TPDU, for hashing."""
    sender: str = field(repr=False)
    text: str = field(repr=False)
    sent: str | None = None
    """Service centre time stamp, as RFC 3339 text; a fake one may be anything."""
    rat: Rat = Rat.GSM
    channel: int | None = None
    is_ciphered: bool | None = None
    """None: the link did not say (an AT modem never does)."""
    part: tuple[int, int, int] | None = None
    """Reference, number of parts and this part's number of a concatenated message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Bytes that a codec could not read: kept, counted and reported, never fatal."""

    file: str
    place: str
    reason: str
    """In plain words."""
    raw: bytes = field(default=b"", repr=False)
    """The bytes themselves, at most 512 of them."""
    is_damage: bool = True
    """False: a well-formed thing of a kind that this reader passes over (counted, not an error)."""


class SweepDevice(StrEnum):
    """What made a sweep; receivers differ in calibration, selectivity and phantoms."""

    TINYSA = "tinysa"
    RF_EXPLORER = "rf_explorer"
    RTL_POWER = "rtl_power"
    HACKRF_SWEEP = "hackrf_sweep"
    FM_TUNER = "fm_tuner"
    OTHER = "other"
    """A log that does not say what measured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReading:
    """One sweep of a spectrum analyser: levels at equal steps of frequency."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    """The bytes it was read from: for hashing."""
    device: SweepDevice
    start_hz: float
    step_hz: float
    levels_dbm: array[float] = field(repr=False)
    """Type code ``f``; NaN where the device gave no usable number."""
    at_hz: array[float] | None = field(default=None, repr=False)
    """Type code ``d``: each point's frequency, where the steps are not all equal."""
    rbw_hz: float | None = None
    """Resolution bandwidth; None: not said, the step is taken for it."""
    is_calibrated: bool = False
    """False: the levels are dB against an unknown reference."""
    rejected: int = 0
    """Points that were NaN, infinite or no number."""
    duration_s: float = 0.0
    """How long the device took, or integrated; 0: not said."""
    attenuation_db: float | None = None
    """Attenuator before the mixer, already counted into the levels; None: not said."""
    averages: float | None = None
    """Spectra averaged into each level, where the device says it."""

    @property
    def stop_hz(self) -> float:
        """Frequency of the last point."""
        return self.start_hz + self.step_hz * max(0, len(self.levels_dbm) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunerReading:
    """What a broadcast tuner says of the frequency it stands on."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    mhz: float | None
    """None: the device has not said where it stands."""
    level_dbf: float | None = None
    """Antenna input level, dBf (0 dBf = -120 dBm)."""
    is_stereo: bool | None = None
    """A 19 kHz pilot is there."""
    cochannel_percent: float | None = None
    adjacent_percent: float | None = None
    bandwidth_hz: int | None = None
    pi: int | None = None
    """PI code that the device itself made out."""
    pi_doubt: int = 0
    """Question marks behind it, 0 (sure) to 3."""
    snr_db: float | None = None
    multipath_percent: float | None = None
    offset_khz: float | None = None
    """Of the carrier against the tuned frequency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RdsReading:
    """One RDS group and what it completed (EN 50067, IEC 62106)."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    mhz: float | None
    pi: int | None
    """Programme identification; None where block A (and C') could not be read."""
    is_clean: bool
    """Every block came without an error that had to be corrected."""
    group: str | None = None
    """``0A`` to ``15B``; None where block B could not be read."""
    programme_type: str | None = None
    ps: str | None = None
    """Programme service name, when this group completed it."""
    radiotext: str | None = None
    """RadioText, when this group completed it."""
    clock_time: str | None = None
    """RFC 3339 local time of a 4A group."""
    pty_name: str | None = None
    alternative_mhz: tuple[float, ...] = ()
    """Alternative frequencies named in this group."""
    other_pi: int | None = None
    """PI of the other network of a 14A or 14B group."""
    other_ps: str | None = None
    other_programme_type: str | None = None
    long_ps: str | None = None
    enhanced_radiotext: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierReading:
    """One carrier of the broadcast or the aviation band, measured by itself."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    mhz: float
    level_dbm: float | None
    """None: a loudspeaker tells no level."""
    width_khz: float | None = None
    """Occupied bandwidth."""
    audio: tuple[float, ...] | None = field(default=None, repr=False)
    """Features of about 10 s of the demodulated programme; compared by correlation."""
    clip: bytes | None = field(default=None, repr=False)
    """About 30 s of the programme as it was recorded (any container): evidence, by hash."""
    bearing_deg: float | None = None
    """True bearing, clockwise from north."""
    bearing_sigma_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkReading:
    """How busy the handsets' side of a band is at one place: bursts and level, never an identity.

    No serial modem hears the uplink; a receiver for it with burst detection does.
    """

    stamp: Stamp
    raw: bytes = field(repr=False)
    bursts_per_min: float
    level_dbm: float
    """Of the strongest bursts."""
    centre_mhz: float | None = None
    width_khz: float | None = None
    bearing_deg: float | None = None
    """True bearing, clockwise from north; None: no direction finder, or bursts from all around."""
    bearing_sigma_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BearingReading:
    """Where a direction finder hears a signal come from, without anything else about it."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    mhz: float
    bearing_deg: float
    """True bearing, clockwise from north."""
    sigma_deg: float | None = None
    level_dbm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FixReading:
    """What a GNSS receiver says: a position, or that it has none."""

    stamp: Stamp
    raw: bytes = field(repr=False)
    position: Position | None
    quality: FixQuality
    fix_us: int | None = None
    """Time of the fix by the satellites' clock; None without a date."""
    satellites: int | None = None
    hdop: float | None = None
    altitude_m: float | None = None
    speed_ms: float | None = None
    course_deg: float | None = None


SpectrumReading = SweepReading | TunerReading | RdsReading | CarrierReading
"""What the broadcast detector takes."""
NetworkReading = CellReading | NasReading | SignallingReading | MessageReading
"""What the cell detector takes."""
FinderReading = UplinkReading | BearingReading
"""What direction finders and uplink receivers give."""
Reading = NetworkReading | SpectrumReading | FinderReading | FixReading
Item = Reading | Unreadable
"""What a codec yields."""
