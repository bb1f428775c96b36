"""Closed lists of words that cross a room's border. The wire carries the word itself."""

from __future__ import annotations

from enum import StrEnum


class DetectionKind(StrEnum):
    """What a detector claims to have seen."""

    FAKE_BASE_STATION = "fake_base_station"
    ILLEGAL_BROADCAST = "illegal_broadcast"
    AERONAUTICAL_INTERFERENCE = "aeronautical_interference"
    SIM_BANK_DEN = "sim_bank_den"


class Level(StrEnum):
    """How far the evidence carries; only a suspected or confirmed detection becomes an alert."""

    OBSERVED = "observed"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"

    @property
    def rank(self) -> int:
        """Order of the levels, lowest first."""
        return list(Level).index(self)


class Severity(StrEnum):
    """How urgent an alert is."""

    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"


class AlertKind(StrEnum):
    """The alert kinds of the scenario format, section 4.2."""

    BLACK_BROADCAST_SUSPECTED = "BLACK_BROADCAST_SUSPECTED"
    AERONAUTICAL_INTERFERENCE = "AERONAUTICAL_INTERFERENCE"
    FAKE_BTS_SUSPECTED = "FAKE_BTS_SUSPECTED"
    FAKE_BTS_CONFIRMED = "FAKE_BTS_CONFIRMED"
    GOIP_DEN_SUSPECTED = "GOIP_DEN_SUSPECTED"
    PRESENTATION_ATTACK = "PRESENTATION_ATTACK"
    STOP_PAYMENT_HIT = "STOP_PAYMENT_HIT"
    ONE_FACE_MANY_CARDS = "ONE_FACE_MANY_CARDS"
    DISPENSER_TAMPERING_SUSPECTED = "DISPENSER_TAMPERING_SUSPECTED"
    """Beyond the scenario format: somebody besides the agent drives a machine's cash."""
    WATCHED_ACCOUNT = "WATCHED_ACCOUNT"
    """Beyond the scenario format: a visit with an account that an order watches, told silently."""
    CLOCK_SKEW = "CLOCK_SKEW"
    REPLAY = "REPLAY"
    TOPIC_ACL_VIOLATION = "TOPIC_ACL_VIOLATION"
    ORDER_REJECTED = "ORDER_REJECTED"


class MachineAlarmKind(StrEnum):
    """What an ATM's gate noticed on the way to its dispenser."""

    SECOND_CLIENT = "second_client"
    UNEXPLAINED_DISPENSE = "unexplained_dispense"
    DISPENSE_REFUSED = "dispense_refused"
    MALFORMED = "malformed"

    @property
    def is_critical(self) -> bool:
        """Whether cash may have moved without an approval."""
        return self is MachineAlarmKind.UNEXPLAINED_DISPENSE


class TimeBasis(StrEnum):
    """Where the times of a reading come from."""

    LIVE = "live"
    RECORDED = "recorded"
    SYNTHETIC = "synthetic"


class GapReason(StrEnum):
    """Why a device will not send a message that it had numbered."""

    CAPACITY = "capacity"
    """Thinned or dropped because there was no room for more important ones."""
    AGE = "age"
    """Older than its lane is kept."""
    REFUSED = "refused"
    """The broker or the central refused it again and again; the device still has it, put aside."""


class RivalVerdict(StrEnum):
    """What became of an innocent explanation that was looked at."""

    RULED_OUT = "ruled_out"
    POSSIBLE = "possible"
    NOT_CHECKED = "not_checked"


class Decision(StrEnum):
    """The outcome of one visit at an ATM (scenario format, section 4.1)."""

    ALLOW = "ALLOW"
    ALLOW_DELAYED = "ALLOW_DELAYED"
    DENY = "DENY"
    REFER_TO_COUNTER = "REFER_TO_COUNTER"


class DecisionReason(StrEnum):
    """Why a visit was not simply allowed; the first that holds, in this order."""

    STOP_PAYMENT = "STOP_PAYMENT"
    FROZEN = "FROZEN"
    PIN_BLOCKED = "PIN_BLOCKED"
    PIN_INVALID = "PIN_INVALID"
    NOT_ENROLLED = "NOT_ENROLLED"
    FACE_COVERED = "FACE_COVERED"
    # Not in the scenario format, whose cameras always answer: nobody could tell whether the face
    # lives, so nobody is accused and no cash moves.
    LIVENESS_UNAVAILABLE = "LIVENESS_UNAVAILABLE"
    LIVENESS_FAILED = "LIVENESS_FAILED"
    FACE_MISMATCH = "FACE_MISMATCH"
    NONCOUNTER_OUTFLOW_SUSPENDED = "NONCOUNTER_OUTFLOW_SUSPENDED"
    LIST_STALE = "LIST_STALE"
    # Beyond the scenario format, and after everything of it: what a bank's own terms and the
    # machine itself add. A closed list.
    DORMANT = "DORMANT"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    LISTED_PAYEE = "LISTED_PAYEE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    NOT_CONFIRMED = "NOT_CONFIRMED"
    """The customer was asked whether this is his own wish, and did not say yes."""
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    HOST_DECLINED = "HOST_DECLINED"
    HOST_SILENT = "HOST_SILENT"
    DEVICE_FAULT = "DEVICE_FAULT"


class PinVerdict(StrEnum):
    """All that ever leaves the encrypting PIN pad."""

    OK = "ok"
    WRONG = "wrong"
    BLOCKED = "blocked"


class Pad(StrEnum):
    """Presentation-attack detection that was really done, weakest first (ISO/IEC 30107)."""

    NONE = "none"
    CHALLENGE = "challenge"
    IR = "ir"
    DEPTH = "depth"

    @property
    def rank(self) -> int:
        """Strength, weakest first."""
        return list(Pad).index(self)


class FeedKind(StrEnum):
    """What a member unit's feed holds."""

    NUMBERS = "numbers"
    SIGHTINGS = "sightings"
    LEADS = "leads"
    INDICATORS = "indicators"


class DeviceKind(StrEnum):
    """What kind of station an agent runs on."""

    ATM = "atm"
    VAN = "van"
    FIXED_SITE = "fixed_site"
    GATEWAY = "gateway"
    """A member unit's sender: it has no sensor and brings what people and programs hand it."""


class PartState(StrEnum):
    """Health of one part of an agent (a sensor, the camera, the uplink)."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class Presence(StrEnum):
    """Whether an agent is connected to the broker."""

    ONLINE = "online"
    OFFLINE = "offline"


class Signatory(StrEnum):
    """Whose signatures an order carries."""

    OFFICER = "officer"
    CENTRAL = "central"
    ROOT = "root"
    """Names the officers; by default the central's own key, better one that is kept off line."""


class OrderType(StrEnum):
    """Everything that a device may be told: a closed list.

    Nothing here dispenses cash, drops a factor or lowers the liveness floor, and nothing may be
    added that does: an order makes a machine stricter, gives back what an order took, or asks for
    a report. ``tests/contract/test_orders.py`` holds the list.
    """

    STOP_PAYMENT = "stop_payment"
    RELEASE_STOP = "release_stop"
    EXTEND_STOP = "extend_stop"
    FREEZE = "freeze"
    RELEASE_FREEZE = "release_freeze"
    EXTEND_FREEZE = "extend_freeze"
    CROSS_ATM_LINK = "cross_atm_link"
    END_CROSS_ATM_LINK = "end_cross_atm_link"
    REPORT_HEALTH = "report_health"
    RESTART_PART = "restart_part"
    OFFICERS = "officers"
    CONFIGURATION = "configuration"
    SEND_VAN = "send_van"
    CALL_VAN_OFF = "call_van_off"
    TENANT_KEYS = "tenant_keys"
    SHOW_NOTICE = "show_notice"
    END_NOTICE = "end_notice"

    @property
    def txcode(self) -> str | None:
        """Code of the stop-payment platform; None for what it does not know."""
        return _TXCODES.get(self)


_TXCODES = {
    OrderType.STOP_PAYMENT: "100101",
    OrderType.RELEASE_STOP: "100103",
    OrderType.EXTEND_STOP: "100105",
    OrderType.FREEZE: "100201",
    OrderType.RELEASE_FREEZE: "100203",
    OrderType.EXTEND_FREEZE: "100205",
}


class CrewWord(StrEnum):
    """What the crew of a van says about where it was sent."""

    ACKNOWLEDGED = "acknowledged"
    DECLINED = "declined"
    ARRIVED = "arrived"
    DONE = "done"


class OrderOutcome(StrEnum):
    """What a device did with an order."""

    APPLIED = "applied"
    REFUSED = "refused"
    ENDED = "ended"
    """It was applied, and its term is over."""
    ROLLED_BACK = "rolled_back"
    """A configuration was applied, did not prove itself, and the former one is back."""


class OrderRefusal(StrEnum):
    """Why a device did not apply an order."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    NOT_SIGNED = "not_signed"
    NOT_SIGNED_BY_TWO = "not_signed_by_two"
    UNKNOWN_SIGNER = "unknown_signer"
    BAD_SIGNATURE = "bad_signature"
    WRONG_TARGET = "wrong_target"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    OLD_VERSION = "old_version"
    SUPERSEDED = "superseded"
    """Its release, or its end, came first."""
    CANNOT_APPLY = "cannot_apply"

    @property
    def is_attack(self) -> bool:
        """Whether an honest central never provokes it: it becomes a technical alert."""
        return self not in {OrderRefusal.SUPERSEDED, OrderRefusal.CANNOT_APPLY}
