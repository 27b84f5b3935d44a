"""What one party shows to others, and whom it trusts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from keras_split.errors import AuthenticationFailed
from keras_split.keyfiles import read_key
from keras_split.transport.reloading import Reloading

_FILES = ("ca.crt", "tls.crt", "tls.key")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """Certificates and key of one party, as PEM.

    Args:
        root_certificate: Authorities that issue the peers' certificates.
        certificate: This party's certificate, with the intermediate ones after it if there are any.
        private_key: The key of `certificate`, without a passphrase.
        directory: Where the three were read, and will be read again when the files there have changed:
            by a server for each new connection, by a client for each new channel.

    Example:
        `Credentials.from_directory("certificates/hospital")`
    """

    root_certificate: bytes | None = None
    certificate: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    directory: Path | None = field(default=None, compare=False)

    @classmethod
    def from_directory(cls, path: str | Path) -> Credentials:
        """Reads `ca.crt`, `tls.crt` and `tls.key`, and checks that peers can accept them.

        Raises:
            FileNotFoundError: One of the files is missing.
            PermissionError: Other users of this machine can reach the key.
            ValueError: A file is not what its name says, or the key is of another certificate.
            AuthenticationFailed: A certificate is not valid today, or not of the authority.
        """
        folder = Path(path)
        _check_present(folder)
        root, certificate = (folder / "ca.crt").read_bytes(), (folder / "tls.crt").read_bytes()
        key = read_key(folder / "tls.key")
        chain = _parse(folder / "tls.crt", certificate)
        _check_key(folder, key, chain[0])
        _check_chain(folder, chain, _parse(folder / "ca.crt", root))
        return cls(root, certificate, key, folder)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a client's channel."""
        now = self._newest() or self
        return grpc.ssl_channel_credentials(now.root_certificate, now.private_key, now.certificate)

    def server_credentials(self, require_client_certificate: bool = True) -> grpc.ServerCredentials:
        """For a server's port.

        Args:
            require_client_certificate: Refuse clients without a certificate of the authority.

        Raises:
            ValueError: No certificate or key, or no authority to check the clients by.
        """
        if self.certificate is None or self.private_key is None:
            raise ValueError("A server needs `certificate` and `private_key`; one of them is None.")
        if require_client_certificate and self.root_certificate is None:
            raise ValueError("Requiring client certificates needs `root_certificate`, which is None.")
        if self.directory is None:
            pair = [(self.private_key, self.certificate)]
            return grpc.ssl_server_credentials(pair, self.root_certificate, require_client_certificate)
        # gRPC asks at each new connection, and goes on with what it has when the answer is None.
        replaced = Reloading(self.directory, _FILES, self._new_configuration)
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), replaced.changed, require_client_certificate
        )

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self.private_key, self.certificate)], self.root_certificate
        )

    def _new_configuration(self) -> grpc.ServerCertificateConfiguration | None:
        newest = self._newest()
        return newest and newest._configuration()

    def _newest(self) -> Credentials | None:
        """What the folder holds now; None if that cannot be used."""
        if self.directory is None:
            return None
        try:
            return Credentials.from_directory(self.directory)
        except (OSError, ValueError, AuthenticationFailed) as error:
            _log.warning("The certificates that were read before stay in use: %s", error)
            return None


def _check_present(folder: Path) -> None:
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no {', '.join(missing)}. It should be the folder of one party, such as "
            "`certificates/server`; `keras-split certs` makes them for development."
        )


def _parse(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError(f"{path} holds no certificate in PEM ({error}).") from None


def _check_key(folder: Path, pem: bytes, leaf: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        # TypeError is how `cryptography` says that there is a passphrase.
        raise ValueError(
            f"{folder / 'tls.key'} is not a private key in PEM without a passphrase ({error})."
        ) from None
    if key.public_key() != leaf.public_key():
        raise ValueError(
            f"{folder / 'tls.key'} is not the key of {folder / 'tls.crt'}: copy both from one folder."
        )


def _check_chain(folder: Path, chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> None:
    """Follows `chain` from the leaf upwards until an authority has issued a link of it."""
    for certificate, above in zip_longest(chain, chain[1:]):
        _check_dates(folder / "tls.crt", certificate)
        issuers = [authority for authority in authorities if _issued(authority, certificate)]
        if issuers:
            # A renewed authority stands in the file twice for a while.
            newest = max(issuers, key=lambda issuer: issuer.not_valid_after_utc)
            return _check_dates(folder / "ca.crt", newest)
        if above is None or not _issued(above, certificate):
            break
    raise AuthenticationFailed(
        f"{folder / 'tls.crt'} was not issued by the authority in {folder / 'ca.crt'}, so peers "
        "would refuse it. Take both files from one set: all parties need certificates of one "
        "authority."
    )


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        raise AuthenticationFailed(
            f"{path} expired on {_date(certificate.not_valid_after_utc)}. Ask for a new one "
            "from who issued it (for development: `keras-split certs`, into a new folder)."
        )
    if now < certificate.not_valid_before_utc:
        raise AuthenticationFailed(
            f"{path} is not valid before {_date(certificate.not_valid_before_utc)}, and the clock "
            f"here says {_date(now)}. Is the clock right?"
        )


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
