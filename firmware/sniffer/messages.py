"""Message types and layouts. Generated from hardware/board/table.py by ``make schemas``."""

PROTOCOL = 1
HEADER = "<BBHI"
MAX_PAYLOAD = 238
EVENT_RING = 64
MAX_EVENT = 160

HELLO = 0x01
HEARTBEAT = 0x02
REPLY = 0x03
SWEEP = 0x04
QUALITY = 0x05
LOG = 0x06
RDS_GROUP = 0x10
MODEM_LINE = 0x11
FAULT = 0x12
HELLO_REQUEST = 0x41
SYNC_TIME = 0x42
TUNE = 0x43
START_SWEEP = 0x44
STOP = 0x45
SET_VOLUME = 0x46
RESEND = 0x47
PAUSE = 0x48
MODEM_COMMAND = 0x49
GET_COUNTERS = 0x4A
UPDATE_BEGIN = 0x4B
UPDATE_DATA = 0x4C
UPDATE_END = 0x4D
CONFIRM_BOOT = 0x4E
PROVISION = 0x4F
REBOOT = 0x50
SET_DIALECT = 0x51
PING = 0x52

DONE = 0  # done
UNKNOWN = 1  # no such command
BAD_LENGTH = 2  # the payload's length is wrong
BAD_VALUE = 3  # a value is out of range
BUSY = 4  # a sweep or an update is running: stop it first
NO_DEVICE = 5  # no tuner or modem answers
REFUSED = 6  # the proof is wrong, or a key is held already
FAILED = 7  # it was tried and failed
BAD_VERSION = 8  # no common protocol version
SAFE_MODE = 9  # not in safe mode
HELLO_LAYOUT = "<BI8s12s12s8s12sB1sBBBI16s"
HEARTBEAT_LAYOUT = "<IIIIIIIIIIHHIBB"
REPLY_LAYOUT = "<HBB"
SWEEP_LAYOUT = "<HBBIH"
QUALITY_LAYOUT = "<IBBBbB"
LOG_LAYOUT = "<B"
RDS_GROUP_LAYOUT = "<IIHHHHB"
MODEM_LINE_LAYOUT = "<IB"
FAULT_LAYOUT = "<IBI"
SYNC_TIME_ANSWER = "<QQQ"
RESEND_ANSWER = "<I"
GET_COUNTERS_ANSWER = "<IIIIIIIIIIHHIBB"

# type: (layout, bytes of the fields, may bytes follow)
COMMANDS = {
    0x41: ("<B16s", 17, False),
    0x42: ("<Q", 8, False),
    0x43: ("<I", 4, False),
    0x44: ("<IIHB", 11, False),
    0x45: ("<", 0, False),
    0x46: ("<B", 1, False),
    0x47: ("<II", 8, False),
    0x48: ("<B", 1, False),
    0x49: ("<H", 2, True),
    0x4A: ("<", 0, False),
    0x4B: ("<I32s16s", 52, False),
    0x4C: ("<I", 4, True),
    0x4D: ("<", 0, False),
    0x4E: ("<", 0, False),
    0x4F: ("<32s", 32, False),
    0x50: ("<B", 1, False),
    0x51: ("<B", 1, False),
    0x52: ("<", 0, True),
}
