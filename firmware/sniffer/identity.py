"""Who the board is: its key, and the proof that it holds it.

The key lies in the board's file system: an RP2040 has no key store, so whoever holds the board in
his hands can read it. It tells boards apart on a line; it does not protect against their owner.
"""

from hashlib import sha256

_BLOCK = 64
KEY_LENGTH = 32
PROOF_LENGTH = 16


def hmac_sha256(key, *parts):
    """HMAC (RFC 2104) with SHA-256; MicroPython has no ``hmac`` built in."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key = key + bytes(_BLOCK - len(key))
    inner = sha256(bytes(b ^ 0x36 for b in key))
    for part in parts:
        inner.update(part)
    outer = sha256(bytes(b ^ 0x5C for b in key))
    outer.update(inner.digest())
    return outer.digest()


class Identity:
    """The key, kept in one file."""

    def __init__(self, root):
        self._path = root + "key"
        self._key = None
        try:
            with open(self._path, "rb") as file:
                key = file.read()
            if len(key) == KEY_LENGTH:
                self._key = key
        except OSError:
            pass

    @property
    def has_key(self):
        """A key was given to this board."""
        return self._key is not None

    def provision(self, key):
        """Take a key; False when one is held already."""
        if self._key is not None:
            return False
        with open(self._path, "wb") as file:
            file.write(key)
        self._key = bytes(key)
        return True

    def prove(self, *parts):
        """16 bytes of HMAC over the parts; zeros without a key."""
        if self._key is None:
            return bytes(PROOF_LENGTH)
        return hmac_sha256(self._key, *parts)[:PROOF_LENGTH]

    def is_proven(self, proof, *parts):
        """Compare in constant time; a board without a key asks for none."""
        if self._key is None:
            return True
        wanted = self.prove(*parts)
        difference = len(proof) ^ len(wanted)
        for i in range(min(len(proof), len(wanted))):
            difference |= proof[i] ^ wanted[i]
        return difference == 0
