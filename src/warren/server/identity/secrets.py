"""Passwords, signatures and the server's secret. Everything that must be kept secret or compared safely is here."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet

_SCRYPT_N: Final = 2**14
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_MOST_BYTES: Final = 2**26
_DIGEST_BYTES: Final = 32
SECRET_BYTES: Final = 32


def hash_password(password: str) -> str:
    """`scrypt$N$r$p$salt$hash`, base64 (RFC 7914; 16 MiB and some 50 ms a try)."""
    salt = os.urandom(16)
    digest = _scrypt(password, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
    return f"scrypt${_SCRYPT_N}${_SCRYPT_R}${_SCRYPT_P}${_encoded(salt)}${_encoded(digest)}"


def check_password(password: str, stored: str) -> bool:
    """Whether the password is the one that was hashed. False too for a hash that cannot be read."""
    try:
        scheme, n, r, p, salt, digest = stored.split("$")
        tried = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
        return scheme == "scrypt" and hmac.compare_digest(tried, base64.b64decode(digest))
    except ValueError:
        return False


def is_password_hash(stored: str) -> bool:
    """Whether some password can be checked against it (nothing is hashed: that takes its time)."""
    try:
        scheme, n, r, p, salt, digest = stored.split("$")
        cost = (int(n), int(r), int(p))
        size = len(base64.b64decode(digest, validate=True))
        base64.b64decode(salt, validate=True)
    except ValueError:
        return False
    is_possible = cost[0] > 1 and cost[0].bit_count() == 1 and min(cost) > 0 and 128 * cost[0] * cost[1] < _MOST_BYTES
    return scheme == "scrypt" and size == _DIGEST_BYTES and is_possible


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MOST_BYTES, dklen=_DIGEST_BYTES)


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def server_secret(path: Path) -> bytes:
    """The secret that tokens are signed with; made, readable by its owner only, when the file is not there.

    Raises:
        Unmet: the file cannot be read, made, or is too short.
    """
    try:
        if not path.exists():
            with suppress(FileExistsError):  # of two servers that start at once both read the same secret
                write_new(path, secrets.token_hex(SECRET_BYTES).encode())
        secret = path.read_bytes().strip()
    except OSError as error:
        raise Unmet(f"the secret file {path} cannot be used: {error.strerror}") from error
    if len(secret) < SECRET_BYTES:
        raise Unmet(
            f"the secret file {path} has {len(secret)} bytes, fewer than {SECRET_BYTES}: remove it for a new one"
        )
    return secret


def write_new(path: Path, content: bytes) -> None:
    """A file that its owner only may read, at no moment anybody else, and that is there whole or not at all.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()


def signature(secret: bytes, purpose: str, message: str) -> str:
    """Hexadecimal HMAC-SHA-256 of the message, for one purpose only."""
    return hmac.new(secret, f"{purpose}\n{message}".encode(), hashlib.sha256).hexdigest()


def agent_token(secret: bytes, host: str, roles: Iterable[str]) -> str:
    """The credential of one host's agent: the roles that the host may have, and the signature of these and its name."""
    named = "+".join(sorted(set(roles)))
    return f"{named}.{signature(secret, 'agent', f'{named} {host}')}"


def roles_of_agent(secret: bytes, host: str, token: str) -> frozenset[str] | None:
    """The roles that a credential gives a host; None if it is not that host's."""
    roles = token.partition(".")[0].split("+")
    is_genuine = hmac.compare_digest(agent_token(secret, host, roles).encode(), token.encode(errors="replace"))
    return frozenset(roles) if is_genuine else None
