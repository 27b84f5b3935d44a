"""One link of a run's history: a signed header that names the sealed blob which belongs to it.

On the wire it is canonical JSON, a line feed, and the sender's Ed25519 signature in hex. The digest is
of all these bytes. Whoever sees only links, such as the server, can check the history and read none of
the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from functools import cached_property
from typing import Any, Literal, NamedTuple

from keras_split.crypto import canonical
from keras_split.crypto.identity import Identity
from keras_split.crypto.member import Member
from keras_split.errors import DamagedEnvelope, SignatureRefused
from keras_split.run_names import check_run

MAX_LINK_BYTES = 4096
SIGNATURE_BYTES = 64
_FORMAT = "keras_split.link/1"
_LABEL = b"keras_split link 1\0"
_KEYS = frozenset(("blob", "format", "header", "size"))
KINDS = ("secret", "full", "delta")


class Trained(NamedTuple):
    """How much of its own data a member has trained.

    Args:
        epochs: Whole ones.
        steps: Of the next one.
    """

    epochs: int = 0
    steps: int = 0

    @classmethod
    def read(cls, value: Any) -> Trained:
        """From JSON.

        Raises:
            ValueError: No two counts.
        """
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError("`trained` must be a list of two integers")
        for name, each in zip(cls._fields, value, strict=True):
            canonical.check_count(name, each)
        return cls(*value)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a sealed client state is, and where it belongs.

    All of it is signed, is the context in which the file key is wrapped and the body encrypted, and so
    cannot be moved to another place.

    Args:
        run: Name of the run.
        roster_epoch: Epoch of the roster whose members can open it.
        roster_digest: Digest of that roster.
        number: 0, 1, 2, …: counts the commits of the run.
        turn: Turn in which it was made.
        kind: `"secret"` (what initial weights come from; number 0 only), `"full"` or `"delta"`.
        base: Digest of the client state before; empty where there is none.
        result: Digest of the client state after.
        topology: Digest of the validated topology.
        settings: Digest of the compile settings, the optimizer among them.
        previous: Digest of the link before; empty for number 0.
        sender: Name of the member that made it.
        version: The server's updates at the commit.
        trained: By the sender. No other party can make it train rows twice, or leave some out.

    Raises:
        ValueError: A field that no header can have.
    """

    run: str
    roster_epoch: int
    roster_digest: str
    number: int
    turn: int
    kind: Literal["secret", "full", "delta"]
    base: str
    result: str
    topology: str
    settings: str
    previous: str
    sender: str
    version: int
    trained: Trained = Trained()

    def __post_init__(self) -> None:
        check_run(self.run)
        canonical.check_name("sender", self.sender)
        for name, least in (("roster_epoch", 1), ("number", 0), ("turn", 0), ("version", 0)):
            canonical.check_count(name, getattr(self, name), least)
        for name in ("roster_digest", "result", "topology", "settings"):
            canonical.check_digest(name, getattr(self, name))
        for name in ("base", "previous"):
            canonical.check_digest(name, getattr(self, name), may_be_empty=True)
        self._check_kind()

    @cached_property
    def encoded(self) -> bytes:
        """Canonical bytes."""
        return canonical.encode(self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        """All of it, by name, JSON-ready."""
        return {name: getattr(self, name) for name in _HEADER_KEYS}

    def _check_kind(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}")
        if (self.number == 0) != (self.previous == ""):
            raise ValueError("`previous` is empty for number 0, and for no other number")
        if self.kind == "secret" and self.number:
            raise ValueError("only number 0 can be of kind 'secret': a run starts once")
        if self.kind == "delta" and not self.base:
            raise ValueError("a 'delta' needs the digest of its `base`")


_HEADER_KEYS = frozenset(each.name for each in dataclass_fields(Header))


@dataclass(frozen=True)
class Link:
    """A header, its blob's name and size, and the sender's signature over all of them.

    Args:
        header: What the blob is.
        blob: SHA-256, in hex, of the blob: its name wherever it is kept.
        size: Bytes of the blob.
        signature: 64 bytes; nothing is known of it before `check_signature`.
    """

    header: Header
    blob: str
    size: int
    signature: bytes

    @classmethod
    def signed(cls, identity: Identity, header: Header, blob: str, size: int) -> Link:
        """Makes a link in the sender's name."""
        return cls(header, blob, size, identity.sign(_LABEL + _body(header, blob, size)))

    @classmethod
    def read(cls, data: bytes) -> Link:
        """Reads a link without believing it.

        Raises:
            DamagedEnvelope: Too long, or not a header in canonical form.
            SignatureRefused: The signature was cut off, or is none.
        """
        if len(data) > MAX_LINK_BYTES:
            raise DamagedEnvelope(
                f"A link has at most {MAX_LINK_BYTES:,} bytes. Ask for it again; if this repeats, whoever "
                f"sent it is not a keras_split of this version. Received: {len(data):,} bytes."
            )
        body, _, signature = bytes(data).partition(b"\n")
        return cls(*_read_body(body), signature=_read_signature(signature))

    def to_bytes(self) -> bytes:
        """The bytes that `read` takes, and that `digest` is of."""
        return self._body + b"\n" + self.signature.hex().encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of `to_bytes()`."""
        return canonical.sha256(self.to_bytes())

    def check_signature(self, sender: Member) -> None:
        """Raises `SignatureRefused` unless this member signed these bytes."""
        if sender.verify(self.signature, _LABEL + self._body):
            return
        raise SignatureRefused(
            f"Link {self.header.number} says that it is from {self.header.sender!r}, and the signature is "
            "not of that member's key. It was changed or forged on the way: fetch it again, and if this "
            "repeats, do not go on with this server and tell the other members."
        )

    @cached_property
    def _body(self) -> bytes:
        return _body(self.header, self.blob, self.size)


def _body(header: Header, blob: str, size: int) -> bytes:
    return canonical.encode({"blob": blob, "format": _FORMAT, "header": header.fields, "size": size})


def _read_body(body: bytes) -> tuple[Header, str, int]:
    try:
        found: dict[str, Any] = canonical.fields(canonical.decode_canonical(body, MAX_LINK_BYTES), _KEYS)
        if found["format"] != _FORMAT:
            raise ValueError(f"expected the format {_FORMAT}")
        canonical.check_digest("blob", found["blob"])
        canonical.check_count("size", found["size"])
        named = canonical.fields(found["header"], _HEADER_KEYS)
        header = Header(**{**named, "trained": Trained.read(named["trained"])})
    except ValueError as error:
        raise DamagedEnvelope(
            f"A link cannot be read: {error}. Ask for it again; if this repeats, both sides may not have the "
            "same version of keras_split."
        ) from None
    return header, found["blob"], found["size"]


def _read_signature(text: bytes) -> bytes:
    try:
        signature = canonical.from_hex(text.decode("ascii"), "a signature")
    except ValueError:
        signature = b""
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureRefused(
            "A link carries no signature of its sender, so anybody may have made it. Fetch it again, and if "
            "this repeats, do not go on with this server and tell the other members."
        )
    return signature
