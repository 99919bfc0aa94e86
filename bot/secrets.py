"""Secrets: kept out of every text, encrypted at rest, and the keys that derive from the one key file.

Two things that share only their care: `redact` (what must never be shown) and `Keyring` (what must never be lost).
"""

from __future__ import annotations

import binascii
import hmac
import os
import re
import secrets as _secrets
import threading
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from html import escape
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from bot.errors import StoreError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

#: What stands in a secret's place.
REDACTED = "[redacted]"
#: Shorter values are no secrets worth the name, and would blank out common words.
_SHORTEST = 6

#: Names of fields that hold a credential, with what may stand before them in the same word (`page_access_token`).
_NAMES = (
    r"(?:token|api[_-]?key|password|passwd|secret|secret[_-]?proof|authorization|cookie|access[_-]?jwt|refresh[_-]?jwt"
    r"|oauth[_-]?signature|oauth[_-]?verifier|oauth[_-]?consumer[_-]?key|oauth[_-]?nonce|signature|private[_-]?key"
    r"|session[_-]?key|code[_-]?verifier)"
)
_MARK = re.escape(REDACTED)
#: Each part is bounded or can't overlap its neighbour: the texts may come from a hostile server.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # "Bearer …", "Basic …", wherever they stand, but not before a plain word ("Basic authentication is off")
    (
        re.compile(
            r"(?i)\b(bearer|basic|dpop|ghost)(\s{1,4}+|%20|\+)(?!(?-i:[a-z]{1,19})(?![\w.~+/=-]))[a-z0-9._~+/=%:-]{8,}"
        ),
        rf"\1\2{REDACTED}",
    ),
    # Authorization: … in whatever scheme, up to the end of the line or the string
    (
        re.compile(
            rf"(?i)(authorization\\?['\"]?\s{{0,4}}[:=,]\s{{0,4}}+(?:b(?=['\"]))?+\\?+['\"]?+)(?!{_MARK})[^\r\n'\"\\]+"
        ),
        rf"\1{REDACTED}",
    ),
    # name=value in queries, forms and OAuth headers
    (
        re.compile(rf"(?i)({_NAMES}(?:=|%3D)\\?+['\"]?+)(?!{_MARK})[^\s&;,'\"\\<>)}}\]]{{4,}}"),
        rf"\1{REDACTED}",
    ),
    # "name": "value" in JSON, headers and reprs
    (
        re.compile(rf"(?i)({_NAMES}\\?['\"]\s{{0,4}}[:,]\s{{0,4}}b?\\?['\"])(?!{_MARK})[^'\"\\]{{4,}}"),
        rf"\1{REDACTED}",
    ),
    # name: value without quotes; a plain word after the colon ("token: expired") is a message and stays
    (
        re.compile(rf"(?i)({_NAMES}:\s{{0,4}}+)(?=[^\s\d,;]*\d|[^\s,;]{{20}})(?!{_MARK})[^\s,;'\"<>]{{8,}}"),
        rf"\1{REDACTED}",
    ),
    # https://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"<>]{1,300}@"), rf"\1{REDACTED}@"),
    # Telegram's token stands in the path: /bot123456:ABC-…; Discord's and Slack's hooks likewise
    (re.compile(r"(?<!\d)\d{6,12}(?::|%3A)[A-Za-z0-9_-]{30,}"), REDACTED),
    (re.compile(r"(/api(?:/v\d{1,2})?/webhooks/\d{1,25}/)[A-Za-z0-9_-]{20,}"), rf"\1{REDACTED}"),
    (re.compile(r"(hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9/_-]+"), rf"\1{REDACTED}"),
    # JSON Web Tokens (Bluesky's sessions)
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), REDACTED),
)


#: One word: every shape above has a sign in it that is no letter, digit, dash or underline.
_WORD = re.compile(r"[\w-]*")


def _forms(secret: str) -> set[str]:
    """The ways in which a value shows up: as it is, and as URLs, forms, JSON, HTML, reprs and base64 write it."""
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), escape(secret), repr(secret)[1:-1]}
    found |= {re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in found}
    found |= {dumps(secret)[1:-1], dumps(secret, ensure_ascii=False)[1:-1]}
    raw = secret.encode()
    for shift in range(3):
        # Inside "user:secret" the value may start at any of three places of a base64 group; its edge letters, which mix
        # with the neighbours', are left off.
        text = b64encode(b"\0" * shift + raw).decode().rstrip("=")
        core = text[(0, 2, 3)[shift] : len(text) - (1 if (shift + len(raw)) % 3 else 0)]
        found |= {core, core.replace("+", "-").replace("/", "_")} if len(core) >= _SHORTEST else set()
    return {form for form in found if len(form) >= _SHORTEST}


class Redactor:
    """Knows the values that must never be shown. Safe for any number of threads."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def keep_out(self, secret: str) -> None:
        """Never show this value again, in any of its usual forms; values under 6 characters are left alone."""
        value = secret.strip()
        with self._lock:
            if len(value) < _SHORTEST or value in self._known:
                return
            self._known.add(value)
            self._pattern = None

    def __call__(self, text: str) -> str:
        """The text without any known secret, and without what looks like one."""
        pattern = self._pattern or self._compiled()
        if self._known:
            text = pattern.sub(REDACTED, text)
        if _WORD.fullmatch(text):
            return text
        for shape, instead in _PATTERNS:
            text = shape.sub(instead, text)
        return text

    def _compiled(self) -> re.Pattern[str]:
        with self._lock:
            forms = {form for value in self._known for form in _forms(value)}
            longest_first = sorted(forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            return self._pattern

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._known)} secrets>"


_REDACTOR = Redactor()


def keep_out(secret: str) -> None:
    """Register a secret value of this process: whoever reads one from settings or a login calls this at once."""
    _REDACTOR.keep_out(secret)


def redact(text: str) -> str:
    """The text as it may be shown: registered secrets and what looks like a credential are replaced."""
    return _REDACTOR(text)


class Keyring:
    """The key file's keys: the first encrypts and derives, all decrypt (so that keys can be rotated).

    Everything derives from it by HKDF with a label of its own, so that no use can be turned against another.
    """

    def __init__(self, keys: tuple[bytes, ...], *, made: Path | None = None) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise ValueError("a key has 32 bytes")
        self.made = made
        self._keys = keys
        self._delivery = derived(keys[0], "wirepost/delivery-key/1")
        self._cipher: MultiFernet | None = None
        for key in keys:
            keep_out(urlsafe_b64encode(key).decode())

    @classmethod
    def load(cls, text: str | None, path: Path) -> Keyring:
        """The keys given in the settings, else those in the file, else a new one made there (`made` tells so).

        Raises StoreError if they can't be read or are no keys.
        """
        if text is not None and text.strip():
            return cls(_read_keys(text, "WIREPOST_KEY"))
        try:
            return cls(_read_keys(path.read_text("ascii"), str(path)))
        except FileNotFoundError:
            pass
        except (OSError, UnicodeError) as error:
            raise StoreError(f"The key file {path} can't be read ({_why(error)}).") from None
        try:
            made = _make_key(path)
        except OSError as error:
            raise StoreError(
                f"No key file could be made at {path} ({_why(error)}). Give a key in WIREPOST_KEY_FILE, or make the "
                "folder writable."
            ) from None
        return cls(_read_keys(path.read_text("ascii"), str(path)), made=path if made else None)

    @property
    def key_id(self) -> str:
        """Eight hex digits that name the first key without telling anything of it."""
        return _key_id(self._keys[0])

    def encrypt(self, plain: str, *, place: str) -> str:
        """The text under the first key, bound to its place (row and column): elsewhere it can't be read."""
        sealed = self._fernet().encrypt(f"{len(place)}:{place}{plain}".encode())
        return f"{self.key_id}:{sealed.decode('ascii')}"

    def decrypt(self, cell: str, *, place: str) -> str:
        """The text of a cell. Raises StoreError for another key, a damaged cell, or one copied from another place."""
        from cryptography.fernet import InvalidToken

        key_id, _, token = cell.partition(":")
        try:
            plain = self._fernet().decrypt(token.encode()).decode()
        except (InvalidToken, UnicodeError):
            mine = ", ".join(map(_key_id, self._keys))
            if key_id in map(_key_id, self._keys):
                raise StoreError(f"The secret at {place} is damaged: log this account in again.") from None
            raise StoreError(
                f"The secret at {place} was written with key {key_id[:8]}, but the key in use is {mine}. Put the old "
                "key back (WIREPOST_KEY_FILE may hold several, one a line), or log this account in again."
            ) from None
        length, _, rest = plain.partition(":")
        if not length.isdecimal() or rest[: int(length)] != place:
            raise StoreError(f"The secret at {place} belongs elsewhere: it was copied between rows. Log in again.")
        return rest[int(length) :]

    def is_current(self, cell: str) -> bool:
        """Is this cell under the first key? If not, decrypt it and encrypt it anew: that is a rotation."""
        return cell.partition(":")[0] == self.key_id

    def delivery_key(self, delivery: str, action: str, generation: int) -> str:
        """The idempotency key of one generation: 64 hex digits, the same for every send of it."""
        message = "\0".join((delivery, action, str(generation))).encode()
        return hmac.new(self._delivery, message, sha256).hexdigest()

    def mark(self, text: str) -> str:
        """Tells whether a text is still the same, and nothing else of it: 64 hex digits."""
        return hmac.new(derived(self._keys[0], "wirepost/mark/1"), text.encode(), sha256).hexdigest()

    def _fernet(self) -> MultiFernet:
        if self._cipher is None:
            from cryptography.fernet import Fernet, MultiFernet  # 20 MB: only where something is encrypted

            label = "wirepost/at-rest/1"
            self._cipher = MultiFernet([Fernet(urlsafe_b64encode(derived(key, label))) for key in self._keys])
        return self._cipher

    def __repr__(self) -> str:
        return f"<Keyring {self.key_id}, {len(self._keys)} keys>"


def derived(key: bytes, label: str) -> bytes:
    """32 bytes for one use of the key: HKDF-SHA256 without salt (RFC 5869, one block), spelt out so that deriving a
    delivery's key needs no import of cryptography."""
    extracted = hmac.new(b"\0" * 32, key, sha256).digest()
    return hmac.new(extracted, label.encode() + b"\x01", sha256).digest()


def _key_id(key: bytes) -> str:
    return derived(key, "wirepost/key-id/1").hex()[:8]


def _read_keys(text: str, where: str) -> tuple[bytes, ...]:
    """Keys in base64 (either alphabet), apart by white space or commas; the text itself never appears in the error."""
    lines = [line.split("#")[0] for line in text.splitlines()]
    words = [word for line in lines for word in re.split(r"[\s,]+", line) if word]
    keys = tuple(_read_key(word) for word in words)
    good = tuple(key for key in keys if key is not None)
    if not good or len(good) != len(keys):
        raise StoreError(
            f"{where} holds no usable key: expected 32 bytes in base64 (44 characters), one key a line, the newest "
            "first. “openssl rand -base64 32” makes one."
        )
    return good


def _read_key(word: str) -> bytes | None:
    try:
        key = urlsafe_b64decode(word.replace("+", "-").replace("/", "_") + "=" * (-len(word) % 4))
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _make_key(path: Path) -> bool:
    """Write a new key, whole or not at all, readable by its owner only. False: another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{_secrets.token_hex(8)}")
    text = (
        "# Wirepost's key: it opens the stored logins. Keep a copy apart from the store's backups.\n"
        f"{urlsafe_b64encode(_secrets.token_bytes(32)).decode()}\n"
    )
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if it exists: nobody's key is ever overwritten
        except FileExistsError:
            return False
    finally:
        draft.unlink()
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
