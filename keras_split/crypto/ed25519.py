"""Which public keys of Ed25519 can belong to somebody.

A point whose order divides 8 belongs to nobody: a signature under it can be made without any secret,
and holds for many messages. `cryptography` loads such points, and bytes that are no point at all. The
arithmetic follows RFC 8032, section 5.1, with the y coordinate alone.
"""

from __future__ import annotations

KEY_BYTES = 32
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def is_sound(key: bytes) -> bool:
    """Whether 32 bytes encode, canonically, a point of the curve whose order is not small."""
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if len(key) != KEY_BYTES or y >= _P or not _is_on_curve(y):
        return False
    for _ in range(3):
        y = _doubled(y)
    return y != 1  # The neutral element is the only point with y = 1.


def _is_on_curve(y: int) -> bool:
    return pow(_x_squared(y), (_P - 1) // 2, _P) in (0, 1)


def _x_squared(y: int) -> int:
    return (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P


def _doubled(y: int) -> int:
    """The y of P + P. On the curve, 1 + d x^2 y^2 = y^2 - x^2, which saves a product."""
    x_squared = _x_squared(y)
    return (y * y + x_squared) * pow(2 - y * y + x_squared, -1, _P) % _P
