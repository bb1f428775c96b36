"""Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999) in place, without allocation."""


def encode(source, length, target):
    """Stuff ``length`` bytes of ``source`` into ``target``; return how many were written.

    ``target`` needs ``length + length // 254 + 1`` bytes. No zero is among them.
    """
    code_at = 0
    at = 1
    code = 1
    for i in range(length):
        byte = source[i]
        if byte:
            target[at] = byte
            at += 1
            code += 1
        if not byte or (code == 255 and i + 1 < length):
            target[code_at] = code
            code_at = at
            at += 1
            code = 1
    target[code_at] = code
    return at


def decode(buffer, length):
    """Unstuff ``length`` bytes where they are; return the new length, -1 when they are torn."""
    read = 0
    written = 0
    while read < length:
        code = buffer[read]
        if code == 0 or read + code > length:
            return -1
        read += 1
        for _ in range(code - 1):
            byte = buffer[read]
            if byte == 0:
                return -1
            buffer[written] = byte
            read += 1
            written += 1
        if code != 255 and read < length:
            buffer[written] = 0
            written += 1
    return written
