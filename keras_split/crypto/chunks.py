"""Authenticated encryption of a long body, which one key opens and no other.

A key that is used once gives, by HKDF-SHA512 with the context, an AES-256 key and a commitment of 32
bytes. The body is cut into chunks of 1 MiB, each under AES-256-GCM with a nonce of its number and
whether it is the last:

```
commitment (32) | chunk 0 (2^20 + 16) | chunk 1 (2^20 + 16) | … | last chunk (up to 2^20 + 16)
```

So chunks cannot be reordered, dropped, repeated or added. AES-GCM by itself lets one ciphertext open
under two keys; the commitment, a hash of the key, does not.
"""

from __future__ import annotations

import hashlib
import hmac
from io import BytesIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
COMMITMENT_BYTES = 32
_SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
_LABEL = b"keras_split body 1\0"


def encrypt(key: bytes, context: bytes, payload: memoryview, out: BytesIO) -> None:
    """Encrypts, chunk by chunk.

    Args:
        key: Random, and used for this body alone.
        context: What the body belongs to; it opens under the same context only.
        payload: Bytes of any number.
        out: Where to.
    """
    cipher, commitment = _keys(key, context)
    out.write(commitment)
    count = _count(len(payload), CHUNK_BYTES)
    for at in range(count):
        chunk = payload[at * CHUNK_BYTES : (at + 1) * CHUNK_BYTES]
        out.write(cipher.encrypt(_nonce(at, at == count - 1), chunk, None))


def decrypt(key: bytes, context: bytes, sealed: memoryview) -> bytes:
    """Decrypts, and gives nothing before the last chunk is authenticated.

    Raises:
        InvalidTag: Of `cryptography`: another key, another context or other bytes.
    """
    cipher, commitment = _keys(key, context)
    if not hmac.compare_digest(commitment, bytes(sealed[:COMMITMENT_BYTES])):
        raise InvalidTag
    body = sealed[COMMITMENT_BYTES:]
    count = _count(len(body), _SEALED_CHUNK_BYTES)
    payload = BytesIO()
    for at in range(count):
        chunk = body[at * _SEALED_CHUNK_BYTES : (at + 1) * _SEALED_CHUNK_BYTES]
        if len(chunk) <= TAG_BYTES and count > 1:
            raise InvalidTag  # `encrypt` ends with a full chunk, and never with an empty one more.
        payload.write(cipher.decrypt(_nonce(at, at == count - 1), chunk, None))
    return payload.getvalue()


def _count(size: int, chunk_bytes: int) -> int:
    """Number of chunks; also an empty body has one, which says that nothing was cut off."""
    return max(1, -(-size // chunk_bytes))


def _keys(key: bytes, context: bytes) -> tuple[AESGCM, bytes]:
    info = _LABEL + hashlib.sha256(context).digest()
    derived = HKDF(SHA512(), 32 + COMMITMENT_BYTES, salt=None, info=info).derive(key)
    return AESGCM(derived[:32]), derived[32:]


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
