"""The two ways to give a short secret to the holder of a key: HPKE (RFC 9180), base mode.

| name | key encapsulation | public key | wrap of 32 bytes |
| --- | --- | --- | --- |
| `mlkem768-x25519` | ML-KEM-768 and X25519 together | 1,216 bytes | 1,168 bytes |
| `x25519` | X25519 | 32 bytes | 80 bytes |

The first stays closed to whoever keeps it until there is a quantum computer, and, should ML-KEM break,
is still X25519.
"""

from __future__ import annotations

import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

FILE_KEY_BYTES = 32
_X25519_BYTES = 32
_SEED_BYTES = 64
_MLKEM_PUBLIC_BYTES = 1184
_TAG_BYTES = 16


class Wrapping:
    """X25519 alone.

    Keys are raw bytes, so that they can be written down.
    """

    kem = KEM.X25519
    secret_bytes = _X25519_BYTES
    public_bytes = _X25519_BYTES

    @property
    def wrap_bytes(self) -> int:
        """Length of a wrapped file key."""
        return int(self.kem.enc_length()) + FILE_KEY_BYTES + _TAG_BYTES

    def generate(self) -> bytes:
        """A new secret key."""
        return secrets.token_bytes(self.secret_bytes)

    def wrap(self, file_key: bytes, public: bytes, info: bytes) -> bytes:
        """Encrypts to a public key, bound to `info`."""
        return self._suite().encrypt(file_key, self._public(public), info=info)

    def unwrap(self, wrapped: bytes | memoryview, secret: bytes, info: bytes) -> bytes:
        """Decrypts.

        Raises:
            InvalidTag: Of `cryptography`: another key, another `info`, or other bytes.
        """
        return self._suite().decrypt(wrapped, self._private(secret), info=info)

    def public_of(self, secret: bytes) -> bytes:
        """The public key that belongs to a secret one."""
        return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()

    def check(self, public: bytes) -> None:
        """Raises ValueError for a public key that nobody can have made honestly."""
        if len(public) != self.public_bytes:
            raise ValueError(f"the wrapping key must be of {self.public_bytes:,} bytes")
        try:
            self._public(public)
            # A point of small order gives everybody the same shared secret, and is refused here.
            X25519PrivateKey.generate().exchange(_x25519(public[-_X25519_BYTES:]))
        except ValueError:
            raise ValueError("the wrapping key is no public key that can be wrapped to") from None

    def _suite(self) -> Suite:
        return Suite(self.kem, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    def _public(self, public: bytes) -> Any:
        return _x25519(public)

    def _private(self, secret: bytes) -> Any:
        return X25519PrivateKey.from_private_bytes(secret)


class Hybrid(Wrapping):
    """ML-KEM-768 and X25519: open only to whoever breaks both. ML-KEM's part comes first."""

    kem = KEM.MLKEM768_X25519
    secret_bytes = _SEED_BYTES + _X25519_BYTES
    public_bytes = _MLKEM_PUBLIC_BYTES + _X25519_BYTES

    def public_of(self, secret: bytes) -> bytes:
        """The public key that belongs to a secret one."""
        lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:_SEED_BYTES]).public_key()
        return lattice.public_bytes_raw() + super().public_of(secret[_SEED_BYTES:])

    def _public(self, public: bytes) -> Any:
        lattice = MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES])
        return MLKEM768X25519PublicKey(lattice, _x25519(public[_MLKEM_PUBLIC_BYTES:]))

    def _private(self, secret: bytes) -> Any:
        lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:_SEED_BYTES])
        return MLKEM768X25519PrivateKey(lattice, super()._private(secret[_SEED_BYTES:]))


CLASSICAL = "x25519"
POST_QUANTUM = "mlkem768-x25519"
SUITES: dict[str, Wrapping] = {CLASSICAL: Wrapping(), POST_QUANTUM: Hybrid()}


def _x25519(public: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(public)
