"""Secrets at rest under a passphrase: Argon2id, then AES-256-GCM.

The cost is RFC 9106's second recommendation (3 passes over 64 MiB by 4 lanes). It belongs to the
file's format and does not stand in the file, so that no file can ask for more memory.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_SALT_BYTES = 16
_PASSES = 3
_LANES = 4
_MEMORY_KIB = 64 * 1024
# Each salt, and so each key, is used once.
_NONCE = bytes(12)


def seal(passphrase: str, secret: bytes, context: bytes) -> bytes:
    """Salt and ciphertext.

    Raises:
        ValueError: The passphrase is empty.
    """
    if not passphrase:
        raise ValueError("The passphrase is empty. Give one, or none at all.")
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt + _cipher(passphrase, salt).encrypt(_NONCE, secret, context)


def unseal(passphrase: str, sealed: bytes, context: bytes) -> bytes | None:
    """The secret, or None where passphrase, context or bytes are others."""
    salt, ciphertext = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    if len(salt) < _SALT_BYTES:
        return None
    try:
        return _cipher(passphrase, salt).decrypt(_NONCE, ciphertext, context)
    except InvalidTag:
        return None


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    kdf = Argon2id(salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return AESGCM(kdf.derive(passphrase.encode()))
