"""Who a certificate says that its holder is: `keras-split://<role>/<name>` among its alternative names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TRAINER, INFERENCE, STORE, SERVER, PEER = ROLES = ("trainer", "inference", "store", "server", "peer")

# Certificates of the first versions call a trainer a client.
_OLDER = {"client": TRAINER}

_SCHEME = "keras-split://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Caller:
    """One party.

    Args:
        role: `"trainer"` (a data owner), `"inference"` (asks for predictions), `"store"` (keeps sealed
            states), `"server"` (computes), or `"peer"` (a data owner's process that only hands over).
        name: As its certificate has it.
    """

    role: str
    name: str

    def __str__(self) -> str:
        return f"{_SCHEME}{self.role}/{self.name}"

    @property
    def host_name(self) -> str:
        """A DNS name that stands for this party in its certificate, wherever it can be reached.

        gRPC lets a client check a name of the other side, and nothing else of its certificate.
        """
        return f"{self.name}.{self.role}.keras-split.internal".lower()


def party(role: str, name: str) -> Caller:
    """A role and a name that a certificate may have.

    Raises:
        ValueError: It may not.
    """
    role = _OLDER.get(role, role)
    if role not in ROLES:
        raise ValueError(f"A party's role is one of {', '.join(ROLES)}. Received: role={role!r}.")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "A party's name is up to 64 letters, digits, dots, dashes and underscores, and starts with "
            f"a letter or digit. Received: name={name!r}."
        )
    return Caller(role, name)


def identity(uris: Iterable[str]) -> Caller | None:
    """The one party that a certificate's URIs name; None if they name none, or more than one."""
    ours = [uri.removeprefix(_SCHEME) for uri in uris if uri.startswith(_SCHEME)]
    if len(ours) != 1:
        return None
    role, _, name = ours[0].partition("/")
    try:
        return party(role, name)
    except ValueError:
        return None
