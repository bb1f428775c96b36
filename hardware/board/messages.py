"""Messages as dataclasses. Generated from hardware/board/table.py by ``make schemas``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import ClassVar


class Status(IntEnum):
    """What a reply says of its command."""

    DONE = 0
    """done"""
    UNKNOWN = 1
    """no such command"""
    BAD_LENGTH = 2
    """the payload's length is wrong"""
    BAD_VALUE = 3
    """a value is out of range"""
    BUSY = 4
    """a sweep or an update is running: stop it first"""
    NO_DEVICE = 5
    """no tuner or modem answers"""
    REFUSED = 6
    """the proof is wrong, or a key is held already"""
    FAILED = 7
    """it was tried and failed"""
    BAD_VERSION = 8
    """no common protocol version"""
    SAFE_MODE = 9
    """not in safe mode"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Message: who the board is; sent at start and on request."""

    TYPE: ClassVar[int] = 0x01
    LAYOUT: ClassVar[Struct] = Struct("<BI8s12s12s8s12sB1sBBBI16s")
    HAS_TAIL: ClassVar[bool] = False
    protocol: int
    """highest version the board speaks"""
    boot_id: int
    """drawn at each start"""
    unique_id: bytes
    """the chip's serial number; no secret"""
    board: bytes
    """board model"""
    version: bytes
    """version of the application"""
    image: bytes
    """first bytes of the running image's SHA-256; zeros when frozen"""
    python: bytes
    """version of MicroPython"""
    reset_cause: int
    """machine.reset_cause()"""
    slot: bytes
    """a or b; f = installed by hand"""
    flags: int
    """1 safe mode, 2 trial boot, 16 holds a key"""
    tuner: int
    """0 none, 1 Si4735 family, 2 Si4703, 3 RDA5807M"""
    modem: int
    """1 when a modem UART is configured"""
    heap_free: int
    """bytes"""
    proof: bytes
    """HMAC-SHA256 over nonce and all before it; zeros without a key"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(
            self.protocol,
            self.boot_id,
            self.unique_id,
            self.board,
            self.version,
            self.image,
            self.python,
            self.reset_cause,
            self.slot,
            self.flags,
            self.tuner,
            self.modem,
            self.heap_free,
            self.proof,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Read a payload; struct.error when its length is wrong."""
        (
            protocol,
            boot_id,
            unique_id,
            board,
            version,
            image,
            python,
            reset_cause,
            slot,
            flags,
            tuner,
            modem,
            heap_free,
            proof,
        ) = cls.LAYOUT.unpack(payload)
        return cls(
            protocol=protocol,
            boot_id=boot_id,
            unique_id=unique_id,
            board=board,
            version=version,
            image=image,
            python=python,
            reset_cause=reset_cause,
            slot=slot,
            flags=flags,
            tuner=tuner,
            modem=modem,
            heap_free=heap_free,
            proof=proof,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Message: the counters, each second."""

    TYPE: ClassVar[int] = 0x02
    LAYOUT: ClassVar[Struct] = Struct("<IIIIIIIIIIHHIBB")
    HAS_TAIL: ClassVar[bool] = False
    boot_id: int
    """drawn at each start"""
    offered: int
    """messages handed to the link"""
    sent: int
    """frames put on the wire"""
    dropped_control: int
    """control messages that found no room"""
    dropped_event: int
    """events overwritten before they were sent"""
    dropped_telemetry: int
    """telemetry messages that found no room"""
    resent: int
    """events sent again on request; counted in offered too"""
    received: int
    """good frames from the host"""
    bad_frames: int
    """frames from the host with a wrong CRC or form"""
    next_event: int
    """number the next event will get"""
    bus_faults: int
    """I2C transfers that failed or read all ones"""
    bus_recoveries: int
    """times the bus was clocked free"""
    heap_free: int
    """bytes"""
    job: int
    """0 idle, 1 starting the tuner, 2 tuned, 3 sweeping"""
    flags: int
    """1 safe mode, 2 trial boot, 4 paused, 8 tuner lost"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(
            self.boot_id,
            self.offered,
            self.sent,
            self.dropped_control,
            self.dropped_event,
            self.dropped_telemetry,
            self.resent,
            self.received,
            self.bad_frames,
            self.next_event,
            self.bus_faults,
            self.bus_recoveries,
            self.heap_free,
            self.job,
            self.flags,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> Heartbeat:
        """Read a payload; struct.error when its length is wrong."""
        (
            boot_id,
            offered,
            sent,
            dropped_control,
            dropped_event,
            dropped_telemetry,
            resent,
            received,
            bad_frames,
            next_event,
            bus_faults,
            bus_recoveries,
            heap_free,
            job,
            flags,
        ) = cls.LAYOUT.unpack(payload)
        return cls(
            boot_id=boot_id,
            offered=offered,
            sent=sent,
            dropped_control=dropped_control,
            dropped_event=dropped_event,
            dropped_telemetry=dropped_telemetry,
            resent=resent,
            received=received,
            bad_frames=bad_frames,
            next_event=next_event,
            bus_faults=bus_faults,
            bus_recoveries=bus_recoveries,
            heap_free=heap_free,
            job=job,
            flags=flags,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Message: answer to one command."""

    TYPE: ClassVar[int] = 0x03
    LAYOUT: ClassVar[Struct] = Struct("<HBB")
    HAS_TAIL: ClassVar[bool] = True
    command_seq: int
    """sequence number of the command"""
    command: int
    """its type"""
    status: int
    """0 done, see the list of refusals"""
    answer: bytes
    """as the command's row says"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.command_seq, self.command, self.status) + self.answer

    @classmethod
    def unpack(cls, payload: bytes) -> Reply:
        """Read a payload; struct.error when its length is wrong."""
        (command_seq, command, status) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(
            command_seq=command_seq,
            command=command,
            status=status,
            answer=payload[cls.LAYOUT.size :],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Message: a part of one sweep over the band."""

    TYPE: ClassVar[int] = 0x04
    LAYOUT: ClassVar[Struct] = Struct("<HBBIH")
    HAS_TAIL: ClassVar[bool] = True
    sweep_no: int
    """number of the sweep since boot"""
    part: int
    """from 0"""
    parts: int
    """how many make the sweep"""
    start_khz: int
    """frequency of this part's first channel"""
    step_khz: int
    """distance of channels"""
    channels: bytes
    """3 bytes each: level, SNR in dB (255 unknown), flags (1 valid, 2 stereo, 4 AFC rail)"""

    def pack(self) -> bytes:
        """The payload."""
        return (
            self.LAYOUT.pack(self.sweep_no, self.part, self.parts, self.start_khz, self.step_khz)
            + self.channels
        )

    @classmethod
    def unpack(cls, payload: bytes) -> Sweep:
        """Read a payload; struct.error when its length is wrong."""
        (sweep_no, part, parts, start_khz, step_khz) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(
            sweep_no=sweep_no,
            part=part,
            parts=parts,
            start_khz=start_khz,
            step_khz=step_khz,
            channels=payload[cls.LAYOUT.size :],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Message: the tuned channel, five times a second."""

    TYPE: ClassVar[int] = 0x05
    LAYOUT: ClassVar[Struct] = Struct("<IBBBbB")
    HAS_TAIL: ClassVar[bool] = False
    frequency_khz: int
    """tuned frequency"""
    level: int
    """dBuV; on the RDA5807M a relative 0-127"""
    snr_db: int
    """255: the chip does not measure it"""
    multipath: int
    """percent; 255: the chip does not measure it"""
    offset_khz: int
    """of the carrier; -128: the chip does not measure it"""
    flags: int
    """1 valid, 2 stereo, 4 AFC rail, 8 level is relative"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(
            self.frequency_khz, self.level, self.snr_db, self.multipath, self.offset_khz, self.flags
        )

    @classmethod
    def unpack(cls, payload: bytes) -> Quality:
        """Read a payload; struct.error when its length is wrong."""
        (frequency_khz, level, snr_db, multipath, offset_khz, flags) = cls.LAYOUT.unpack(payload)
        return cls(
            frequency_khz=frequency_khz,
            level=level,
            snr_db=snr_db,
            multipath=multipath,
            offset_khz=offset_khz,
            flags=flags,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Message: a line for the log."""

    TYPE: ClassVar[int] = 0x06
    LAYOUT: ClassVar[Struct] = Struct("<B")
    HAS_TAIL: ClassVar[bool] = True
    level: int
    """as in logging"""
    text: bytes
    """UTF-8"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.level) + self.text

    @classmethod
    def unpack(cls, payload: bytes) -> Log:
        """Read a payload; struct.error when its length is wrong."""
        (level,) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(level=level, text=payload[cls.LAYOUT.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class RdsGroup:
    """Message: one RDS group; an uncorrectable block is zeroed and marked."""

    TYPE: ClassVar[int] = 0x10
    LAYOUT: ClassVar[Struct] = Struct("<IIHHHHB")
    HAS_TAIL: ClassVar[bool] = False
    event_no: int
    """number of the event since boot, for re-sends"""
    frequency_khz: int
    """tuned frequency"""
    block_a: int
    block_b: int
    block_c: int
    block_d: int
    errors: int
    """2 bits a block, A highest: 0 clean, 1 1-2 bits, 2 3-5, 3 unusable"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(
            self.event_no,
            self.frequency_khz,
            self.block_a,
            self.block_b,
            self.block_c,
            self.block_d,
            self.errors,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> RdsGroup:
        """Read a payload; struct.error when its length is wrong."""
        (event_no, frequency_khz, block_a, block_b, block_c, block_d, errors) = cls.LAYOUT.unpack(
            payload
        )
        return cls(
            event_no=event_no,
            frequency_khz=frequency_khz,
            block_a=block_a,
            block_b=block_b,
            block_c=block_c,
            block_d=block_d,
            errors=errors,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemLine:
    """Message: a line of the modem, or a part of a long one."""

    TYPE: ClassVar[int] = 0x11
    LAYOUT: ClassVar[Struct] = Struct("<IB")
    HAS_TAIL: ClassVar[bool] = True
    event_no: int
    """number of the event since boot, for re-sends"""
    flags: int
    """1 ends a command, 2 continues in the next, 4 timed out"""
    text: bytes
    """bytes as the modem sent them"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.event_no, self.flags) + self.text

    @classmethod
    def unpack(cls, payload: bytes) -> ModemLine:
        """Read a payload; struct.error when its length is wrong."""
        (event_no, flags) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(event_no=event_no, flags=flags, text=payload[cls.LAYOUT.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Message: something broke or healed."""

    TYPE: ClassVar[int] = 0x12
    LAYOUT: ClassVar[Struct] = Struct("<IBI")
    HAS_TAIL: ClassVar[bool] = True
    event_no: int
    """number of the event since boot, for re-sends"""
    code: int
    """1 bus, 2 tuner lost, 3 tuner back, 4 watchdog reset, 5 error caught"""
    detail: int
    text: bytes
    """UTF-8"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.event_no, self.code, self.detail) + self.text

    @classmethod
    def unpack(cls, payload: bytes) -> Fault:
        """Read a payload; struct.error when its length is wrong."""
        (event_no, code, detail) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(event_no=event_no, code=code, detail=detail, text=payload[cls.LAYOUT.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloRequest:
    """Command: begin a session: the board forgets the last command."""

    TYPE: ClassVar[int] = 0x41
    LAYOUT: ClassVar[Struct] = Struct("<B16s")
    HAS_TAIL: ClassVar[bool] = False
    protocol: int
    """version the host speaks"""
    nonce: bytes
    """fresh random bytes"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.protocol, self.nonce)

    @classmethod
    def unpack(cls, payload: bytes) -> HelloRequest:
        """Read a payload; struct.error when its length is wrong."""
        (protocol, nonce) = cls.LAYOUT.unpack(payload)
        return cls(protocol=protocol, nonce=nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTime:
    """Command: one exchange of clock readings."""

    TYPE: ClassVar[int] = 0x42
    LAYOUT: ClassVar[Struct] = Struct("<Q")
    HAS_TAIL: ClassVar[bool] = False
    host_us: int
    """host's clock when it sent"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.host_us)

    @classmethod
    def unpack(cls, payload: bytes) -> SyncTime:
        """Read a payload; struct.error when its length is wrong."""
        (host_us,) = cls.LAYOUT.unpack(payload)
        return cls(host_us=host_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTimeAnswer:
    """What a reply to SyncTime carries."""

    LAYOUT: ClassVar[Struct] = Struct("<QQQ")
    host_us: int
    """as sent"""
    received_us: int
    """board's clock when the command was whole"""
    replied_us: int
    """board's clock when the reply was made"""

    @classmethod
    def unpack(cls, answer: bytes) -> SyncTimeAnswer:
        """Read an answer; struct.error when its length is wrong."""
        (host_us, received_us, replied_us) = cls.LAYOUT.unpack(answer)
        return cls(host_us=host_us, received_us=received_us, replied_us=replied_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """Command: stay on one channel."""

    TYPE: ClassVar[int] = 0x43
    LAYOUT: ClassVar[Struct] = Struct("<I")
    HAS_TAIL: ClassVar[bool] = False
    frequency_khz: int
    """tuned frequency"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.frequency_khz)

    @classmethod
    def unpack(cls, payload: bytes) -> Tune:
        """Read a payload; struct.error when its length is wrong."""
        (frequency_khz,) = cls.LAYOUT.unpack(payload)
        return cls(frequency_khz=frequency_khz)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSweep:
    """Command: sweep over a band."""

    TYPE: ClassVar[int] = 0x44
    LAYOUT: ClassVar[Struct] = Struct("<IIHB")
    HAS_TAIL: ClassVar[bool] = False
    start_khz: int
    stop_khz: int
    """last channel, included"""
    step_khz: int
    repeats: int
    """0: until Stop"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.start_khz, self.stop_khz, self.step_khz, self.repeats)

    @classmethod
    def unpack(cls, payload: bytes) -> StartSweep:
        """Read a payload; struct.error when its length is wrong."""
        (start_khz, stop_khz, step_khz, repeats) = cls.LAYOUT.unpack(payload)
        return cls(start_khz=start_khz, stop_khz=stop_khz, step_khz=step_khz, repeats=repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Command: end what is running."""

    TYPE: ClassVar[int] = 0x45
    LAYOUT: ClassVar[Struct] = Struct("<")
    HAS_TAIL: ClassVar[bool] = False

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack()

    @classmethod
    def unpack(cls, payload: bytes) -> Stop:
        """Read a payload; struct.error when its length is wrong."""
        cls.LAYOUT.unpack(payload)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVolume:
    """Command: audio output."""

    TYPE: ClassVar[int] = 0x46
    LAYOUT: ClassVar[Struct] = Struct("<B")
    HAS_TAIL: ClassVar[bool] = False
    volume: int
    """0-15"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.volume)

    @classmethod
    def unpack(cls, payload: bytes) -> SetVolume:
        """Read a payload; struct.error when its length is wrong."""
        (volume,) = cls.LAYOUT.unpack(payload)
        return cls(volume=volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Command: events again."""

    TYPE: ClassVar[int] = 0x47
    LAYOUT: ClassVar[Struct] = Struct("<II")
    HAS_TAIL: ClassVar[bool] = False
    first: int
    last: int
    """included"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.first, self.last)

    @classmethod
    def unpack(cls, payload: bytes) -> Resend:
        """Read a payload; struct.error when its length is wrong."""
        (first, last) = cls.LAYOUT.unpack(payload)
        return cls(first=first, last=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendAnswer:
    """What a reply to Resend carries."""

    LAYOUT: ClassVar[Struct] = Struct("<I")
    oldest: int
    """oldest event still held"""

    @classmethod
    def unpack(cls, answer: bytes) -> ResendAnswer:
        """Read an answer; struct.error when its length is wrong."""
        (oldest,) = cls.LAYOUT.unpack(answer)
        return cls(oldest=oldest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Command: hold telemetry back (1) or not (0)."""

    TYPE: ClassVar[int] = 0x48
    LAYOUT: ClassVar[Struct] = Struct("<B")
    HAS_TAIL: ClassVar[bool] = False
    is_paused: int

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.is_paused)

    @classmethod
    def unpack(cls, payload: bytes) -> Pause:
        """Read a payload; struct.error when its length is wrong."""
        (is_paused,) = cls.LAYOUT.unpack(payload)
        return cls(is_paused=is_paused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemCommand:
    """Command: one AT command; the lines come as events."""

    TYPE: ClassVar[int] = 0x49
    LAYOUT: ClassVar[Struct] = Struct("<H")
    HAS_TAIL: ClassVar[bool] = True
    timeout_s: int
    text: bytes
    """without the final CR; empty cancels the one running"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.timeout_s) + self.text

    @classmethod
    def unpack(cls, payload: bytes) -> ModemCommand:
        """Read a payload; struct.error when its length is wrong."""
        (timeout_s,) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(timeout_s=timeout_s, text=payload[cls.LAYOUT.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCounters:
    """Command: the heartbeat at once."""

    TYPE: ClassVar[int] = 0x4A
    LAYOUT: ClassVar[Struct] = Struct("<")
    HAS_TAIL: ClassVar[bool] = False

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack()

    @classmethod
    def unpack(cls, payload: bytes) -> GetCounters:
        """Read a payload; struct.error when its length is wrong."""
        cls.LAYOUT.unpack(payload)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCountersAnswer:
    """What a reply to GetCounters carries."""

    LAYOUT: ClassVar[Struct] = Struct("<IIIIIIIIIIHHIBB")
    boot_id: int
    """drawn at each start"""
    offered: int
    """messages handed to the link"""
    sent: int
    """frames put on the wire"""
    dropped_control: int
    """control messages that found no room"""
    dropped_event: int
    """events overwritten before they were sent"""
    dropped_telemetry: int
    """telemetry messages that found no room"""
    resent: int
    """events sent again on request; counted in offered too"""
    received: int
    """good frames from the host"""
    bad_frames: int
    """frames from the host with a wrong CRC or form"""
    next_event: int
    """number the next event will get"""
    bus_faults: int
    """I2C transfers that failed or read all ones"""
    bus_recoveries: int
    """times the bus was clocked free"""
    heap_free: int
    """bytes"""
    job: int
    """0 idle, 1 starting the tuner, 2 tuned, 3 sweeping"""
    flags: int
    """1 safe mode, 2 trial boot, 4 paused, 8 tuner lost"""

    @classmethod
    def unpack(cls, answer: bytes) -> GetCountersAnswer:
        """Read an answer; struct.error when its length is wrong."""
        (
            boot_id,
            offered,
            sent,
            dropped_control,
            dropped_event,
            dropped_telemetry,
            resent,
            received,
            bad_frames,
            next_event,
            bus_faults,
            bus_recoveries,
            heap_free,
            job,
            flags,
        ) = cls.LAYOUT.unpack(answer)
        return cls(
            boot_id=boot_id,
            offered=offered,
            sent=sent,
            dropped_control=dropped_control,
            dropped_event=dropped_event,
            dropped_telemetry=dropped_telemetry,
            resent=resent,
            received=received,
            bad_frames=bad_frames,
            next_event=next_event,
            bus_faults=bus_faults,
            bus_recoveries=bus_recoveries,
            heap_free=heap_free,
            job=job,
            flags=flags,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateBegin:
    """Command: an image for the slot that is not running."""

    TYPE: ClassVar[int] = 0x4B
    LAYOUT: ClassVar[Struct] = Struct("<I32s16s")
    HAS_TAIL: ClassVar[bool] = False
    size: int
    """bytes"""
    sha256: bytes
    """of the image"""
    proof: bytes
    """HMAC-SHA256 over boot_id, size, sha256; zeros without a key"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.size, self.sha256, self.proof)

    @classmethod
    def unpack(cls, payload: bytes) -> UpdateBegin:
        """Read a payload; struct.error when its length is wrong."""
        (size, sha256, proof) = cls.LAYOUT.unpack(payload)
        return cls(size=size, sha256=sha256, proof=proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateData:
    """Command: the image's next bytes."""

    TYPE: ClassVar[int] = 0x4C
    LAYOUT: ClassVar[Struct] = Struct("<I")
    HAS_TAIL: ClassVar[bool] = True
    offset: int
    """must follow the last"""
    data: bytes
    """up to 224 bytes"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.offset) + self.data

    @classmethod
    def unpack(cls, payload: bytes) -> UpdateData:
        """Read a payload; struct.error when its length is wrong."""
        (offset,) = cls.LAYOUT.unpack(payload[: cls.LAYOUT.size])
        return cls(offset=offset, data=payload[cls.LAYOUT.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateEnd:
    """Command: check it, unpack it, try it at the next start."""

    TYPE: ClassVar[int] = 0x4D
    LAYOUT: ClassVar[Struct] = Struct("<")
    HAS_TAIL: ClassVar[bool] = False

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack()

    @classmethod
    def unpack(cls, payload: bytes) -> UpdateEnd:
        """Read a payload; struct.error when its length is wrong."""
        cls.LAYOUT.unpack(payload)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmBoot:
    """Command: the running image is good: keep it."""

    TYPE: ClassVar[int] = 0x4E
    LAYOUT: ClassVar[Struct] = Struct("<")
    HAS_TAIL: ClassVar[bool] = False

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack()

    @classmethod
    def unpack(cls, payload: bytes) -> ConfirmBoot:
        """Read a payload; struct.error when its length is wrong."""
        cls.LAYOUT.unpack(payload)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """Command: give a board its key; refused when it holds one."""

    TYPE: ClassVar[int] = 0x4F
    LAYOUT: ClassVar[Struct] = Struct("<32s")
    HAS_TAIL: ClassVar[bool] = False
    key: bytes

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.key)

    @classmethod
    def unpack(cls, payload: bytes) -> Provision:
        """Read a payload; struct.error when its length is wrong."""
        (key,) = cls.LAYOUT.unpack(payload)
        return cls(key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """Command: restart."""

    TYPE: ClassVar[int] = 0x50
    LAYOUT: ClassVar[Struct] = Struct("<B")
    HAS_TAIL: ClassVar[bool] = False
    is_safe: int
    """1: into safe mode; 2, from safe mode: to the prompt"""

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.is_safe)

    @classmethod
    def unpack(cls, payload: bytes) -> Reboot:
        """Read a payload; struct.error when its length is wrong."""
        (is_safe,) = cls.LAYOUT.unpack(payload)
        return cls(is_safe=is_safe)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDialect:
    """Command: 1: speak FM-DX text from now on."""

    TYPE: ClassVar[int] = 0x51
    LAYOUT: ClassVar[Struct] = Struct("<B")
    HAS_TAIL: ClassVar[bool] = False
    dialect: int

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack(self.dialect)

    @classmethod
    def unpack(cls, payload: bytes) -> SetDialect:
        """Read a payload; struct.error when its length is wrong."""
        (dialect,) = cls.LAYOUT.unpack(payload)
        return cls(dialect=dialect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Command: nothing, answered."""

    TYPE: ClassVar[int] = 0x52
    LAYOUT: ClassVar[Struct] = Struct("<")
    HAS_TAIL: ClassVar[bool] = True
    echo: bytes

    def pack(self) -> bytes:
        """The payload."""
        return self.LAYOUT.pack() + self.echo

    @classmethod
    def unpack(cls, payload: bytes) -> Ping:
        """Read a payload; struct.error when its length is wrong."""
        return cls(echo=payload[cls.LAYOUT.size :])


Message = Hello | Heartbeat | Reply | Sweep | Quality | Log | RdsGroup | ModemLine | Fault


Command = (
    HelloRequest
    | SyncTime
    | Tune
    | StartSweep
    | Stop
    | SetVolume
    | Resend
    | Pause
    | ModemCommand
    | GetCounters
    | UpdateBegin
    | UpdateData
    | UpdateEnd
    | ConfirmBoot
    | Provision
    | Reboot
    | SetDialect
    | Ping
)

MESSAGE_TYPES: dict[int, type[Message]] = {
    0x01: Hello,
    0x02: Heartbeat,
    0x03: Reply,
    0x04: Sweep,
    0x05: Quality,
    0x06: Log,
    0x10: RdsGroup,
    0x11: ModemLine,
    0x12: Fault,
}
"""What a board sends."""

COMMAND_TYPES: dict[int, type[Command]] = {
    0x41: HelloRequest,
    0x42: SyncTime,
    0x43: Tune,
    0x44: StartSweep,
    0x45: Stop,
    0x46: SetVolume,
    0x47: Resend,
    0x48: Pause,
    0x49: ModemCommand,
    0x4A: GetCounters,
    0x4B: UpdateBegin,
    0x4C: UpdateData,
    0x4D: UpdateEnd,
    0x4E: ConfirmBoot,
    0x4F: Provision,
    0x50: Reboot,
    0x51: SetDialect,
    0x52: Ping,
}
"""What a host sends."""

EVENTS = (
    RdsGroup,
    ModemLine,
    Fault,
)
"""Numbered, and sent again on request."""
