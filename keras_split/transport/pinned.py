"""A connection to one certain party, whatever its address.

gRPC's client checks that a certificate is of the authority and has the host's name, and shows it to nobody.
Data owners are known by name and not by host, and a certificate of the same authority may be anybody's, the
server's among them. So the certificate is looked at first, over a handshake of its own, and then gRPC is told
to trust that one certificate alone. Nobody can slip in between the two: the connection would not come about.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keras_split.codec import Limits
from keras_split.errors import AuthenticationFailed, ConnectionLost
from keras_split.roles import Caller, identity
from keras_split.transport.addresses import check_target
from keras_split.transport.credentials import Credentials
from keras_split.transport.options import channel_options

_HANDSHAKE_SECONDS = 10.0


def open_pinned_channel(target: str, party: Caller, credentials: Credentials, limits: Limits) -> grpc.Channel:
    """Opens a channel to a party, over mutual TLS 1.3.

    Args:
        target: `host:port`.
        party: Who must be there.
        credentials: This side's certificate, and the authority.
        limits: Ceilings on what the party may send.

    Raises:
        ConnectionLost: Nobody is there.
        AuthenticationFailed: Who is there is another, or TLS was not agreed.
    """
    check_target(target)
    certificate = _shown(target, credentials)
    found = _holder(certificate)
    if found != party:
        raise AuthenticationFailed(
            f"{target} should be {party}, and shows a certificate of {found or 'nobody known'}. "
            "Nothing was asked of it. Has the address been given to somebody else?"
        )
    trusted = grpc.ssl_channel_credentials(
        certificate.public_bytes(Encoding.PEM), credentials.private_key, credentials.certificate
    )
    name = ("grpc.ssl_target_name_override", _host_name(certificate, target))
    return grpc.secure_channel(target, trusted, [*channel_options(limits), name])


def _shown(target: str, credentials: Credentials) -> x509.Certificate:
    """The certificate that whoever is at `target` has the key of; it is of the authority."""
    host, _, port = target.rpartition(":")
    context = _context(credentials)
    try:
        address = (host.strip("[]"), int(port))
        with (
            socket.create_connection(address, timeout=_HANDSHAKE_SECONDS) as line,
            context.wrap_socket(line) as tls,
        ):
            return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLError as error:
        raise AuthenticationFailed(
            f"TLS with {target} failed: {error.reason or error}. Check that both sides have valid "
            "certificates of the same authority."
        ) from None
    except OSError as error:
        raise ConnectionLost(f"No connection to {target}: {error}.") from None


def _holder(certificate: x509.Certificate) -> Caller | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return identity(names.get_values_for_type(x509.UniformResourceIdentifier))


def _context(credentials: Credentials) -> ssl.SSLContext:
    if None in (credentials.root_certificate, credentials.certificate, credentials.private_key):
        raise ValueError("Mutual TLS needs an authority, a certificate and a key; one of them is None.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # The party's name is checked in its place.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(cadata=(credentials.root_certificate or b"").decode())
    with _readable(credentials.certificate or b"") as chain, _readable(credentials.private_key or b"") as key:
        context.load_cert_chain(chain, key)
    return context


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A path from which `content` can be read once: `ssl` takes files only, and a key stays off the disk."""
    source, sink = os.pipe()
    try:
        with open(sink, "wb") as file:
            os.set_blocking(sink, False)  # More than a pipe holds must fail, since nobody reads yet.
            file.write(content)
        yield f"/dev/fd/{source}"
    finally:
        os.close(source)


def _host_name(certificate: x509.Certificate, target: str) -> str:
    """A name that gRPC finds in this certificate, which is the only one that it will accept."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = names.get_values_for_type(x509.DNSName)
    hosts += map(str, names.get_values_for_type(x509.IPAddress))
    if not hosts:
        raise AuthenticationFailed(
            f"The certificate of {target} has neither a DNS name nor an IP address, without which "
            "gRPC accepts none. Ask its owner for one that has."
        )
    return hosts[0].replace("*", "any", 1)
