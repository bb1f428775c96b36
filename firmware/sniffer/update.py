"""A new application over the link: received, checked, unpacked beside the running one.

An image is ``QSI1``, the number of files (2 bytes), then for each file: length of its name (1),
name, size (4), content; all little-endian. ``tools/pack.py`` makes it.
"""

import os
from hashlib import sha256

MAGIC = b"QSI1"
_ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789_/."
_CHUNK = 256
MAX_SIZE = 512 * 1024


class UpdateError(Exception):
    """An image that is not what it should be."""


class Update:
    """Takes one image at a time into the slot that is not running."""

    def __init__(self, root, other_slot, keep_alive):
        self._keep_alive = keep_alive  # flash is slow: feeds the watchdog between writes
        self._root = root
        self._slot = other_slot
        self._path = root + "update.img"
        self._file = None
        self._size = 0
        self._at = 0
        self._wanted = b""
        self._hash = None

    @property
    def is_running(self):
        """An image is on its way."""
        return self._file is not None

    def begin(self, size, digest):
        """Start; what was received before is thrown away."""
        self.abandon()
        if not 0 < size <= MAX_SIZE:
            raise UpdateError("size")
        self._size = size
        self._wanted = bytes(digest)
        self._hash = sha256()
        self._at = 0
        self._file = open(self._path, "wb")

    def data(self, offset, chunk):
        """The next bytes. Bytes that were taken before are passed over."""
        if self._file is None or offset > self._at or offset + len(chunk) > self._size:
            raise UpdateError("offset")
        if offset + len(chunk) <= self._at:
            return
        chunk = chunk[self._at - offset :]
        self._file.write(chunk)
        self._hash.update(chunk)
        self._at += len(chunk)

    def end(self):
        """Check and unpack; returns the slot that now holds it, and the digest."""
        if self._file is None or self._at != self._size:
            raise UpdateError("incomplete")
        self._file.close()
        self._file = None
        if self._hash.digest() != self._wanted:
            raise UpdateError("digest")
        # what was hashed on its way is hashed again as it lies in the flash
        again = sha256()
        with open(self._path, "rb") as file:
            while True:
                chunk = file.read(_CHUNK)
                if not chunk:
                    break
                again.update(chunk)
                self._keep_alive()
        if again.digest() != self._wanted:
            raise UpdateError("flash")
        folder = self._root + self._slot
        remove(folder)
        os.mkdir(folder)
        with open(self._path, "rb") as file:
            unpack(file, folder + "/", self._keep_alive)
        with open(folder + "/image.sha256", "wb") as file:
            file.write(self._wanted)
        os.remove(self._path)
        return self._slot

    def abandon(self):
        """Forget what was received."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _take(file, length):
    data = file.read(length)
    if len(data) != length:
        raise UpdateError("short image")
    return data


def unpack(file, folder, keep_alive):
    """Write an image's files into a folder; UpdateError where it is not an image."""
    if _take(file, 4) != MAGIC:
        raise UpdateError("no image")
    for _ in range(int.from_bytes(_take(file, 2), "little")):
        name = _name(_take(file, _take(file, 1)[0]))
        left = int.from_bytes(_take(file, 4), "little")
        if left > MAX_SIZE:
            raise UpdateError("size of " + name)
        _make_folders(folder, name)
        with open(folder + name, "wb") as out:
            while left:
                left -= out.write(_take(file, min(left, _CHUNK)))
                keep_alive()


def _name(raw):
    name = "".join(chr(byte) for byte in raw)
    for letter in name:
        if letter not in _ALLOWED:
            raise UpdateError("name")
    if not name or name[0] == "/" or ".." in name or name[-1] == "/":
        raise UpdateError("name")
    return name


def _make_folders(folder, name):
    parts = name.split("/")
    for i in range(1, len(parts)):
        try:
            os.mkdir(folder + "/".join(parts[:i]))
        except OSError:
            pass  # it is there


def remove(path):
    """Remove a file or a folder with all it holds, if it is there."""
    try:
        entries = list(os.ilistdir(path))
    except OSError:
        try:
            os.remove(path)
        except OSError:
            pass
        return
    for entry in entries:
        name = entry[0]
        if name not in (".", ".."):
            remove(path + "/" + name)
    os.rmdir(path)
