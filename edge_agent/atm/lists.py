"""The ATM's side of the list of accounts: taken by delta, fetched whole, swapped in one step.

A notice of the central brings a signed manifest and, where it is small enough, a delta; what does
not lead from the list here to the one named is refused, and the whole file is fetched over HTTPS.
The age of the list is the age of the newest manifest's own time, so that an old notice that is sent
again makes nothing fresher. The list that is in use is never touched: the next one lies beside it.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from contract.account_list import (
    AccountList,
    Listed,
    ListError,
    ListManifest,
    apply_delta,
    open_manifest,
)
from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.envelope import EnvelopeError, open_envelope
from contract.files import replace_durably
from contract.keys import CENTRAL, FindKey
from contract.messages import ListNotice

MANIFEST_FILE: Final = "manifest.cose"
MANIFEST_PATH, LIST_PATH = "/lists/manifest", "/lists/"
MAX_MANIFEST_BYTES: Final = 4096
MAX_LIST_BYTES: Final = 1 << 30
MAX_DELTA_BYTES: Final = 16 << 20
TIMEOUT_S: Final = 30.0
FUTURE_US: Final = 300_000_000
"""A manifest may be so far ahead of this machine's clock; one beyond that is not believed."""

log = structlog.get_logger("lists")


class AccountLists:
    """The list in use and how it is renewed; :meth:`find` may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        tenant: str,
        find_central: FindKey,
        now: Callable[[], UnixMicros],
    ) -> None:
        """Map what lies in the folder if it is whole; a broken list is as none. Raises OSError."""
        self._folder = folder
        self._tenant = tenant
        self._find_central = find_central
        self._now = now
        self._lock = threading.Lock()
        self._list: AccountList | None = None
        self.needs_whole = True
        self.counters = dict.fromkeys(("confirmed", "deltas", "whole", "refused", "wrong_base"), 0)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load()

    def _load(self) -> None:
        try:
            manifest = self._manifest((self._folder / MANIFEST_FILE).read_bytes())
            self._list = AccountList(self._file(manifest.version), manifest)
        except FileNotFoundError:
            return
        except (ListError, OSError) as error:
            log.warning("list_unusable", problem=str(error))
            return
        self.needs_whole = False

    # -- what others ask ---------------------------------------------------------------------------

    @property
    def version(self) -> int | None:
        """Version of the list in use."""
        current = self._list
        return None if current is None else current.manifest.version

    def age_s(self) -> float | None:
        """Seconds since the central drew up the newest manifest of this list; None: no list."""
        current = self._list
        if current is None:
            return None
        return max(0.0, (self._now() - current.manifest.made_at) / 1e6)

    def find(self, card: CardRef) -> Listed | None:
        """What the list says of an account."""
        current = self._list  # one reference: a swap in between changes nothing
        return None if current is None else current.find(card.hmac)

    # -- notices -----------------------------------------------------------------------------------

    def take(self, raw: bytes) -> None:
        """Take a notice from the broker; what is refused is logged and counted, never raised.

        Raises OSError when the disk refuses: the broker then keeps the notice.
        """
        try:
            envelope = open_envelope(raw, tenant=self._tenant, find_key=self._find_central)
            notice = envelope.body
            if envelope.payload.device != CENTRAL or not isinstance(notice, ListNotice):
                raise ListError("no notice of the central")
            self.offer(notice)
        except (EnvelopeError, ListError) as error:
            self.counters["refused"] += 1
            log.warning("list_notice_refused", problem=str(error))

    def offer(self, notice: ListNotice) -> None:
        """Confirm the list in use, or lead it to the next by the delta; raises ListError."""
        manifest = self._manifest(notice.manifest)
        with self._lock:
            current = self._list
            if current is None:
                self.needs_whole = True
                return
            self._check_order(current.manifest, manifest)
            if manifest.version == current.manifest.version:
                self._confirm(current, manifest, notice.manifest)
                return
            if not notice.delta:
                self.needs_whole = True
                return
            self._apply(current, manifest, notice)

    def _check_order(self, old: ListManifest, new: ListManifest) -> None:
        """An older list or an older word about this one changes nothing."""
        if new.version < old.version or new.made_at < old.made_at:
            raise ListError(f"manifest: version {new.version} is older than what is here")
        if new.version == old.version and new.sha256 != old.sha256:
            raise ListError(f"manifest: version {new.version} names two files")

    def _confirm(self, current: AccountList, manifest: ListManifest, raw: bytes) -> None:
        replace_durably(self._folder / MANIFEST_FILE, raw)
        current.manifest = manifest
        self.counters["confirmed"] += 1

    def _apply(self, current: AccountList, manifest: ListManifest, notice: ListNotice) -> None:
        delta = self._folder / "delta.new"
        delta.write_bytes(notice.delta)
        try:
            newer = apply_delta(current, delta, self._file(manifest.version), manifest)
        except ListError as error:
            self.counters["wrong_base"] += 1
            self.needs_whole = True
            raise ListError(f"delta: {error}") from None
        finally:
            delta.unlink(missing_ok=True)
        self._swap(newer, notice.manifest)
        self.counters["deltas"] += 1

    # -- the whole list ----------------------------------------------------------------------------

    def fetch(self, url: str, context: ssl.SSLContext) -> None:
        """Fetch manifest and file; raises ListError, OSError, and then the list in use stays."""
        raw = _get(url, MANIFEST_PATH, context, MAX_MANIFEST_BYTES)
        manifest = self._manifest(raw)
        with self._lock:
            current = self._list
            if current is not None:
                self._check_order(current.manifest, manifest)
                if manifest.version == current.manifest.version:
                    self._confirm(current, manifest, raw)
                    self.needs_whole = False
                    return
        if current is not None and self._fetch_way(url, context, manifest, raw):
            return
        beside = self._folder / "whole.new"
        try:
            _download(url, f"{LIST_PATH}{manifest.version}", context, beside)
            AccountList(beside, manifest).close()  # checked before it gets its name
            with self._lock:
                beside.replace(self._file(manifest.version))
                self._swap(AccountList(self._file(manifest.version), manifest), raw)
                self.counters["whole"] += 1
        finally:
            beside.unlink(missing_ok=True)

    def _fetch_way(
        self, url: str, context: ssl.SSLContext, manifest: ListManifest, raw: bytes
    ) -> bool:
        """Fetch the delta from the list here; False where there is none, or it leads elsewhere."""
        delta = self._folder / "way.new"
        path = f"{LIST_PATH}{manifest.version}/from/{self.version}"
        try:
            _download(url, path, context, delta, MAX_DELTA_BYTES)
            with self._lock:
                current = self._list
                assert current is not None
                newer = apply_delta(current, delta, self._file(manifest.version), manifest)
                self._swap(newer, raw)
                self.counters["deltas"] += 1
        except ListError as error:
            log.info("list_fetched_whole", problem=str(error))
            return False
        finally:
            delta.unlink(missing_ok=True)
        return True

    def _swap(self, newer: AccountList, manifest: bytes) -> None:
        """Put a list in use; the file of the one before goes, readers of it may finish."""
        replace_durably(self._folder / MANIFEST_FILE, manifest)
        older, self._list = self._list, newer
        self.needs_whole = False
        if older is not None and older.manifest.version != newer.manifest.version:
            with contextlib.suppress(OSError):
                self._file(older.manifest.version).unlink()
        log.info("list_in_use", version=newer.manifest.version, accounts=len(newer))

    def _manifest(self, raw: bytes) -> ListManifest:
        manifest = open_manifest(raw, tenant=self._tenant, find_key=self._find_central)
        if manifest.made_at > self._now() + FUTURE_US:
            raise ListError("manifest: from the future")
        return manifest

    def _file(self, version: int) -> Path:
        return self._folder / f"accounts-{version}.list"


def _connection(url: str, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ListError(f"{url!r} is no https:// address")
    return http.client.HTTPSConnection(
        parts.hostname, parts.port or 443, timeout=TIMEOUT_S, context=context
    )


def _get(url: str, path: str, context: ssl.SSLContext, most: int) -> bytes:
    with contextlib.closing(_connection(url, context)) as line:
        response = _response(line, path)
        raw = _read(response, most + 1)
    if len(raw) > most:
        raise ListError(f"{path} is longer than {most} bytes")
    return raw


def _download(
    url: str, path: str, context: ssl.SSLContext, to: Path, most: int = MAX_LIST_BYTES
) -> None:
    """Write a file piece by piece; the hash of the manifest judges it afterwards."""
    size = 0
    with contextlib.closing(_connection(url, context)) as line, to.open("wb") as file:
        response = _response(line, path)
        while piece := _read(response, 1 << 20):
            size += len(piece)
            if size > most:
                raise ListError(f"{path} is longer than {most} bytes")
            file.write(piece)


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        return response.read(most)
    except http.client.HTTPException as error:  # the line broke in the middle
        raise OSError(f"the answer is cut: {type(error).__name__}") from None


def _response(line: http.client.HTTPSConnection, path: str) -> http.client.HTTPResponse:
    try:
        line.request("GET", path)
        response = line.getresponse()
    except http.client.HTTPException as error:
        raise OSError(f"{path}: {type(error).__name__}") from None
    if response.status != 200:
        raise ListError(f"{path}: HTTP status {response.status}")
    return response
