"""A ciphertext that AES-GCM opens under two keys, as whoever knows both can make one.

The tag is linear in the ciphertext's blocks over GF(2^128), so one block is free to make the tags under
both keys equal (Dodis and others, "Fast message franking", section 3).
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BITS = 128
_REDUCTION = 0xE1 << 120
_BLOCK = 16


def one_ciphertext(first: bytes, second: bytes, nonce: bytes, block: bytes) -> bytes:
    """Two blocks and a tag, which hold under both keys.

    Args:
        first: An AES key.
        second: Another one.
        nonce: 12 bytes.
        block: The second block, free to choose.
    """
    masks = [_encrypt(key, nonce + (1).to_bytes(4, "big")) for key in (first, second)]
    points = [_encrypt(key, bytes(_BLOCK)) for key in (first, second)]
    length = 2 * _BLOCK * 8
    rest = [
        _times(_power(h, 2), int.from_bytes(block, "big")) ^ _times(h, length) ^ mask
        for h, mask in zip(points, masks, strict=True)
    ]
    factor = _power(points[0], 3) ^ _power(points[1], 3)
    free = _times(rest[0] ^ rest[1], _power(factor, 2**_BITS - 2))
    tag = _times(_power(points[0], 3), free) ^ rest[0]
    return free.to_bytes(_BLOCK, "big") + block + tag.to_bytes(_BLOCK, "big")


def _encrypt(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block), "big")


def _times(left: int, right: int) -> int:
    """In GCM's field, whose bits are written in the reverse order."""
    product = 0
    for at in reversed(range(_BITS)):
        if left >> at & 1:
            product ^= right
        right = right >> 1 ^ (_REDUCTION if right & 1 else 0)
    return product


def _power(base: int, exponent: int) -> int:
    result = 1 << (_BITS - 1)
    while exponent:
        if exponent & 1:
            result = _times(result, base)
        base, exponent = _times(base, base), exponent >> 1
    return result
