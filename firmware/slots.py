"""Which application starts: slot ``a`` or ``b``, on trial or kept, or safe mode.

State is one short file, replaced by a rename. This file and ``boot.py`` are never updated over the
link: whatever an update breaks, they still find the way back.
"""

import os
import sys

TRIES = 3  # starts of an image on trial before the old one comes back
CRASHES = 3  # watchdog resets in a row before safe mode
_FIELDS = 5


class Slots:
    """confirmed (a, b or f = installed by hand), trial (a, b or -), tries, crashes, safe wish."""

    def __init__(self, root):
        self._path = root + "slots"
        self.root = root
        self.confirmed = "f"
        self.trial = "-"
        self.tries = 0
        self.crashes = 0
        self.wants_safe = 0
        self.running = "f"
        self.is_trial = False
        self.is_safe = False
        self._load()

    def _load(self):
        try:
            with open(self._path) as file:
                words = file.read().split()
            if len(words) != _FIELDS or words[0] not in ("a", "b", "f"):
                return
            if words[1] not in ("a", "b", "-"):
                return
            numbers = [int(word) for word in words[2:]]
        except (OSError, ValueError):
            return
        self.confirmed, self.trial = words[:2]
        self.tries, self.crashes, self.wants_safe = numbers

    def save(self):
        """Replace the file: a power cut leaves the old one or the new one."""
        with open(self._path + ".new", "w") as file:
            numbers = (self.confirmed, self.trial, self.tries, self.crashes, self.wants_safe)
            file.write("%s %s %d %d %d" % numbers)
        os.rename(self._path + ".new", self._path)

    def choose(self, was_watchdog):
        """Decide what this start runs, and remember that it started."""
        before = (self.trial, self.tries, self.crashes, self.wants_safe)
        self.crashes = self.crashes + 1 if was_watchdog else 0
        self.running = self.confirmed
        if self.trial != "-":
            if self.tries >= TRIES:
                self.trial = "-"
                self.tries = self.crashes = 0
            else:
                self.tries += 1
                self.running = self.trial
                self.is_trial = True
        self.is_safe = bool(self.wants_safe) or self.crashes >= CRASHES
        self.wants_safe = 0
        if before != (self.trial, self.tries, self.crashes, self.wants_safe):
            self.save()

    @property
    def path(self):
        """Folder of the running slot, None when installed by hand."""
        return None if self.running == "f" else self.root + self.running

    @property
    def other(self):
        """The slot an update goes to."""
        return "b" if self.running == "a" else "a"

    def confirm(self):
        """Keep what is running."""
        if self.is_trial:
            self.confirmed = self.running
            self.trial = "-"
            self.tries = 0
            self.is_trial = False
            self.save()

    def try_next(self, slot):
        """Run that slot at the next start, on trial."""
        self.trial = slot
        self.tries = 0
        self.save()

    def settle(self):
        """It has run well for a while: no crash counts any more."""
        if self.crashes:
            self.crashes = 0
            self.save()

    def ask_safe(self):
        """Safe mode at the next start."""
        self.wants_safe = 1
        self.save()

    def digest(self):
        """SHA-256 of the running image; zeros when installed by hand."""
        if self.path is not None:
            try:
                with open(self.path + "/image.sha256", "rb") as file:
                    digest = file.read()
                if len(digest) == 32:
                    return digest
            except OSError:
                pass
        return bytes(32)


_chosen = None


def start(root, was_watchdog):
    """Choose once a start, however many of ``boot.py`` and ``main.py`` ask."""
    global _chosen  # noqa: PLW0603 - one start, two programs that ask
    if _chosen is None:
        _chosen = Slots(root)
        _chosen.choose(was_watchdog)
        if _chosen.path is not None:
            sys.path.insert(0, _chosen.path)
    return _chosen
