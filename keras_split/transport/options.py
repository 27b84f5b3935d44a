"""gRPC's options, in one place, with the reasons."""

from __future__ import annotations

from keras_split.codec import Limits

_KEEPALIVE_MS = 10_000
_PING_TIMEOUT_MS = 5_000


def common_options(limits: Limits) -> list[tuple[str, int | str]]:
    """Options of both ends."""
    return [
        ("grpc.max_receive_message_length", limits.max_frame_bytes),
        ("grpc.max_send_message_length", limits.max_frame_bytes),
        # Keepalive alone does not notice a peer behind a line that swallows everything; the ping's
        # own time-out does.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Frames of a mebibyte would otherwise be cut into 64 pieces with a header each.
        ("grpc.http2.max_frame_size", 1 << 20),
        # A window of several chunks, so that a large tensor never waits for the peer's updates.
        ("grpc.http2.lookahead_bytes", 8 << 20),
    ]


def server_options(limits: Limits) -> list[tuple[str, int | str]]:
    """Options of a server."""
    return [
        *common_options(limits),
        # Two servers on one port would each get some of the clients.
        ("grpc.so_reuseport", 0),
        # A client has a handful on each connection; the rest waits on its side.
        ("grpc.max_concurrent_streams", 100),
        # Who connects and says nothing holds no thread, but a file descriptor.
        ("grpc.server_handshake_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
        ("grpc.http2.max_ping_strikes", 0),
    ]


def channel_options(limits: Limits) -> list[tuple[str, int | str]]:
    """Options of a client."""
    return [
        *common_options(limits),
        # Each session has a connection of its own, so that closing one leaves others alone.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
