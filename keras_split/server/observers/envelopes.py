"""The server's store of envelopes, with what is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from keras_split._proto.v1 import store_pb2 as pb
from keras_split.server.observers.observer import Event, Observer
from keras_split.store import BlobFolder, StoreService
from keras_split.transport import caller


class SeenStore(StoreService):
    """Tells which blobs came and went, by digest.

    Args:
        folder: The blobs.
        run: Whose.
        observer: Who is told.
    """

    def __init__(self, folder: BlobFolder, run: str, observer: Observer):
        super().__init__(folder, run)
        self._observer = observer

    def Put(self, pieces: Iterator[pb.Piece], context: grpc.ServicerContext) -> pb.PutReply:
        """Keeps a blob."""
        blobs: list[pb.Blob] = []
        reply = super().Put(_noted(pieces, blobs), context)
        self._tell("envelope_put", context, blobs[0].name, blobs[0].size)
        return reply

    def Get(self, request: pb.GetRequest, context: grpc.ServicerContext) -> Iterator[pb.Piece]:
        """Reads a blob."""
        size = 0
        for piece in super().Get(request, context):
            size = piece.blob.size if piece.HasField("blob") else size
            yield piece
        self._tell("envelope_got", context, request.name, size)

    def _tell(self, kind: str, context: grpc.ServicerContext, blob: str, size: int) -> None:
        found = caller(context)
        facts = {"blob": blob, "bytes": size}
        self._observer.see(Event(kind, "" if found is None else found.name, facts))


def _noted(pieces: Iterator[pb.Piece], blobs: list[pb.Blob]) -> Iterator[pb.Piece]:
    for piece in pieces:
        if piece.HasField("blob"):
            blobs.append(piece.blob)
        yield piece
