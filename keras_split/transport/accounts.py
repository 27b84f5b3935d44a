"""What each party sends and gets, and which of its calls are refused.

gRPC turns bytes into messages on a thread that knows nothing of the call, so that a message carries its size
along until it comes to the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import grpc

from keras_split.errors import ERROR_METADATA


class Account(Protocol):
    """One party's; used by several threads."""

    def received(self, size: int) -> None:
        """A message of so many bytes came from it."""

    def sent(self, size: int) -> None:
        """A message of so many bytes goes to it."""

    def refused(self, call: str, error: str) -> None:
        """A call of it was refused, with an error of this name."""


# From a party's name, empty where nobody can be told from others.
Accounts = Callable[[str], Account]


class Arrived(NamedTuple):
    """A request with its size."""

    message: Any
    size: int


class Leaving(NamedTuple):
    """A reply with the account of who gets it."""

    message: Any
    account: Account


class NoAccount:
    """For a port that keeps none."""

    def received(self, size: int) -> None:
        """Nobody counts."""

    def sent(self, size: int) -> None:
        """Nobody counts."""

    def refused(self, call: str, error: str) -> None:
        """Nobody counts."""


def no_accounts(party: str) -> Account:
    """For a port that keeps none."""
    del party
    return NoAccount()


def arriving(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Arrived]:
    """A deserializer whose messages carry their size."""
    return lambda data: Arrived(deserializer(data), len(data))


def leaving(serializer: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A serializer of messages that say whose account they are on."""

    def serialize(reply: Any) -> bytes:
        if not isinstance(reply, Leaving):
            return serializer(reply)
        data = serializer(reply.message)
        reply.account.sent(len(data))
        return data

    return serialize


def counted(requests: Iterator[Arrived], account: Account) -> Iterator[Any]:
    """The messages, put on an account as they come."""

    def take(arrived: Arrived) -> Any:
        account.received(arrived.size)
        return arrived.message

    # Unlike a generator's, its `next` may be called again after it has failed.
    return map(take, requests)


def refusal(context: grpc.ServicerContext) -> str:
    """Name of the error with which a call was refused; empty if it was not."""
    found = dict(context.trailing_metadata() or ()).get(ERROR_METADATA, "")
    return found if isinstance(found, str) else found.decode()
