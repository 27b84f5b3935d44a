"""The public half of an identity, as it stands in a roster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from keras_split.crypto import canonical, ed25519
from keras_split.crypto.wrapping import SUITES, Wrapping

MAX_JSON_BYTES = 8192
_KINDS = ("signing", "wrapping")
_KEYS = frozenset(("name", "signing_key", "suite", "wrapping_key"))


@dataclass(frozen=True)
class Member:
    """Who may open envelopes, and whose signature is which.

    Args:
        name: Up to 64 letters, digits, dots, dashes and underscores; that of its certificate.
        signing_key: Ed25519 public key, 32 bytes.
        wrapping_key: Public key of the suite, 32 or 1,216 bytes.
        suite: `"mlkem768-x25519"` or `"x25519"`.

    Raises:
        ValueError: A name or key that no member can have, such as an Ed25519 key of small order.
    """

    name: str
    signing_key: bytes
    wrapping_key: bytes
    suite: str

    def __post_init__(self) -> None:
        canonical.check_name("name", self.name)
        if self.suite not in SUITES:
            raise ValueError(f"`suite` must be one of {', '.join(SUITES)}")
        if not ed25519.is_sound(self.signing_key):
            raise ValueError(
                f"The signing key of {self.name!r} is no Ed25519 key that somebody can hold: not of 32 "
                "bytes, not a point of the curve, or of small order. Make keys with `keras-split keygen`."
            )
        self.wrapping.check(self.wrapping_key)

    def __repr__(self) -> str:
        return f"Member(name={self.name!r}, suite={self.suite!r}, fingerprint={self.fingerprint!r})"

    @property
    def wrapping(self) -> Wrapping:
        """How secrets are wrapped to this member."""
        return SUITES[self.suite]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of name and keys: what two people compare over the telephone."""
        return canonical.sha256(canonical.encode(self.to_fields()))

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether this member signed the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.signing_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def to_fields(self) -> dict[str, str]:
        """JSON-ready."""
        return {
            "name": self.name,
            "signing_key": self.signing_key.hex(),
            "suite": self.suite,
            "wrapping_key": self.wrapping_key.hex(),
        }

    def to_json(self) -> str:
        """The text of a `.pub` file."""
        return canonical.encode(self.to_fields()).decode() + "\n"

    @classmethod
    def from_fields(cls, value: Any) -> Member:
        """The inverse of `to_fields`.

        Raises:
            ValueError: It is not what `to_fields` gives.
        """
        found = canonical.fields(value, _KEYS)
        if not isinstance(found["suite"], str):
            raise ValueError("`suite` must be a text")
        signing, wrapping = (canonical.from_hex(found[f"{key}_key"], f"`{key}_key`") for key in _KINDS)
        return cls(found["name"], signing, wrapping, found["suite"])

    @classmethod
    def from_json(cls, text: str | bytes) -> Member:
        """Reads a `.pub` file.

        Raises:
            ValueError: It is none, or its keys are refused.
        """
        try:
            return cls.from_fields(canonical.decode(text, MAX_JSON_BYTES))
        except ValueError as error:
            raise ValueError(f"This is no public key file of `keras-split keygen`: {error}.") from None
