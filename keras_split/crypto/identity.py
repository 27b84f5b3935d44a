"""The secret half of a member or owner, and its file."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keras_split.crypto import canonical, passphrases
from keras_split.crypto.member import Member
from keras_split.crypto.wrapping import CLASSICAL, POST_QUANTUM, SUITES
from keras_split.durable import make_folder
from keras_split.errors import WrongRecipients
from keras_split.keyfiles import read_key, write_key

_FORMAT = "keras_split.identity/1"
_PLAIN_KEYS = frozenset(("format", "name", "secret", "suite"))
_SEALED_KEYS = frozenset(("format", "name", "sealed", "suite"))
_MAX_FILE_BYTES = 4096
_SIGNING_BYTES = 32


class Identity:
    """Signs as one member, and opens what is wrapped to it.

    Neither its `repr`, nor an error, nor a copy by pickle shows a secret.

    Args:
        name: The member's name.
        suite: How others wrap to it.
        secret: 32 bytes of Ed25519, then the suite's secret key.

    Raises:
        ValueError: A name that no member can have, or a secret of another length.
    """

    def __init__(self, name: str, suite: str, secret: bytes) -> None:
        if suite not in SUITES or len(secret) != _SIGNING_BYTES + SUITES[suite].secret_bytes:
            raise ValueError("The secret is not of the length that its suite has.")
        self._signing = Ed25519PrivateKey.from_private_bytes(secret[:_SIGNING_BYTES])
        self._secret = secret
        public = SUITES[suite].public_of(secret[_SIGNING_BYTES:])
        self.member = Member(name, self._signing.public_key().public_bytes_raw(), public, suite)

    def __repr__(self) -> str:
        return f"Identity(name={self.name!r}, fingerprint={self.member.fingerprint!r})"

    @property
    def name(self) -> str:
        """The member's name."""
        return self.member.name

    @classmethod
    def generate(cls, name: str, post_quantum: bool = True) -> Identity:
        """Makes new keys.

        Args:
            name: Up to 64 letters, digits, dots, dashes and underscores; that of its certificate.
            post_quantum: Wrap by ML-KEM-768 and X25519 together, or by X25519 alone.
        """
        suite = POST_QUANTUM if post_quantum else CLASSICAL
        return cls(name, suite, secrets.token_bytes(_SIGNING_BYTES) + SUITES[suite].generate())

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes. Messages begin with what kind they are of."""
        return self._signing.sign(message)

    def unwrap(self, ciphertext: bytes | memoryview, info: bytes) -> bytes:
        """Opens what was wrapped to this member's key.

        Raises:
            WrongRecipients: It was wrapped to another key or for another purpose, or was changed.
        """
        try:
            return self.member.wrapping.unwrap(ciphertext, self._secret[_SIGNING_BYTES:], info)
        except InvalidTag:
            raise WrongRecipients(
                f"The envelope's key was not wrapped to the key of {self.name!r}. Check that you and the "
                "sender have the same roster and that this is your newest key file, and ask the sender to "
                "seal it again."
            ) from None

    def save(self, path: str | Path, passphrase: str | None = None) -> None:
        """Writes the key file, readable by its owner alone.

        Args:
            path: A new file; its folder is made, for its owner alone, where it is missing.
            passphrase: Seals the file by Argon2id and AES-256-GCM. Without one, the file's mode is
                its only protection.

        Raises:
            FileExistsError: `path` exists: a key is never overwritten.
            ValueError: The passphrase is empty.
        """
        path = Path(path)
        make_folder(path.parent)
        head = {"format": _FORMAT, "name": self.name, "suite": self.member.suite}
        if passphrase is None:
            content = {**head, "secret": self._secret.hex()}
        else:
            content = {
                **head,
                "sealed": passphrases.seal(passphrase, self._secret, canonical.encode(head)).hex(),
            }
        try:
            write_key(path, canonical.encode(content) + b"\n")
        except FileExistsError:
            raise FileExistsError(
                f"{path} exists, and keys are never overwritten. Choose another name for the new key."
            ) from None

    @classmethod
    def load(cls, path: str | Path, passphrase: str | None = None) -> Identity:
        """Reads a key file.

        Raises:
            PermissionError: Other users of this machine can reach the file.
            ValueError: It is no key file, it needs a passphrase, or the passphrase is wrong.
        """
        content = read_key(Path(path))
        try:
            found = canonical.decode(content, _MAX_FILE_BYTES)
            head = {key: found[key] for key in ("format", "name", "suite")}
            if head["format"] != _FORMAT or head["suite"] not in SUITES:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{path} is no key file of `keras-split keygen` ({_FORMAT}).") from None
        return cls(head["name"], head["suite"], _secret(found, head, path, passphrase))


def _secret(found: dict[str, Any], head: dict[str, Any], path: str | Path, passphrase: str | None) -> bytes:
    if found.keys() == _PLAIN_KEYS:
        return canonical.from_hex(found["secret"], "`secret`")
    if found.keys() != _SEALED_KEYS:
        raise ValueError(f"{path} is no key file of `keras-split keygen`: it has other keys.")
    if passphrase is None:
        raise ValueError(f"{path} is sealed with a passphrase. Give it, for example by --passphrase-file.")
    sealed = canonical.from_hex(found["sealed"], "`sealed`")
    secret = passphrases.unseal(passphrase, sealed, canonical.encode(head))
    if secret is None:
        raise ValueError(f"The passphrase does not open {path}, or the file was changed.")
    return secret
