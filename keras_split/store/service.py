"""The store's calls: check, hand the bytes on, translate errors."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from keras_split._proto.v1 import store_pb2 as pb
from keras_split.errors import ProtocolError, Refused
from keras_split.store.folder import BlobFolder
from keras_split.transport import reported

MAX_CALL_SECONDS = 3600.0


class StoreService:
    """Implements the service of `store.proto`.

    Args:
        folder: The blobs.
        run: Whose blobs are kept and given out; those of all runs if it is empty.
        is_read_only: Refuse `Put`, as a data owner does who offers only its own blobs.
    """

    def __init__(self, folder: BlobFolder, run: str = "", *, is_read_only: bool = False):
        self._folder = folder
        self._run = run
        self._is_read_only = is_read_only

    def Put(self, pieces: Iterator[pb.Piece], context: grpc.ServicerContext) -> pb.PutReply:
        """Keeps a blob."""
        with reported(context):
            _check_deadline(context)
            if self._is_read_only:
                raise Refused("Nobody else puts blobs here: this data owner offers its own only.")
            blob, rest = _begun(pieces)
            self._check_run(blob.run)
            self._check_size(blob.size)
            return pb.PutReply(is_new=self._folder.put(blob.run, blob.name, _exactly(blob.size, rest)))

    def Get(self, request: pb.GetRequest, context: grpc.ServicerContext) -> Iterator[pb.Piece]:
        """Reads a blob."""
        with reported(context):
            _check_deadline(context)
            self._check_run(request.run)
            size = self._folder.size(request.run, request.name)
            yield pb.Piece(blob=pb.Blob(run=request.run, name=request.name, size=size))
            for data in self._folder.get(request.run, request.name):
                yield pb.Piece(data=data)

    def _check_run(self, run: str) -> None:
        if self._run and run != self._run:
            raise Refused(
                f"Only blobs of run {self._run} are kept here. Check that roster and server are those of one "
                f"run. Received: run={run[:80]!r}."
            )

    def _check_size(self, size: int) -> None:
        """Before the first byte comes, rather than after the last that fits."""
        if size > self._folder.max_blob_bytes:
            raise ProtocolError(
                f"The blob of {size:,} bytes is above the ceiling of {self._folder.max_blob_bytes:,} "
                "(`--max-blob-mib` of the server or store)."
            )


def _check_deadline(context: grpc.ServicerContext) -> None:
    seconds = context.time_remaining()
    # gRPC itself ends the call then, so that a caller who sends nothing more costs its thread no longer.
    if seconds is None or seconds > MAX_CALL_SECONDS:
        raise ProtocolError(
            f"A call of the store needs a deadline of at most {MAX_CALL_SECONDS:.0f} seconds."
        )


def _begun(pieces: Iterator[pb.Piece]) -> tuple[pb.Blob, Iterator[pb.Piece]]:
    first = next(pieces, None)
    if first is None or not first.HasField("blob"):
        raise ProtocolError("A Put begins with a piece that names the blob.")
    if first.data:
        raise ProtocolError("The piece that names the blob has no data.")
    return first.blob, pieces


def _exactly(size: int, pieces: Iterator[pb.Piece]) -> Iterator[bytes]:
    """The data of the pieces, `size` bytes in all."""
    left = size
    for piece in pieces:
        left -= len(piece.data)
        if left < 0:
            break
        yield piece.data
    if left:
        raise ProtocolError(
            f"The blob does not have the {size:,} bytes that were announced: nothing was kept."
        )
