"""What one party shows to others, and whom it trusts."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Credentials:
    """Certificates and key of one party, as PEM.

    Args:
        root_certificate: Authorities that issue the peers' certificates.
        certificate: This party's certificate, with the intermediate ones after it if there are any.
        private_key: The key of `certificate`, without a passphrase.

    Example:
        `Credentials.from_directory("certificates/hospital")`
    """

    root_certificate: bytes | None = None
    certificate: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)

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
        return cls(root, certificate, key)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a client's channel."""
        return grpc.ssl_channel_credentials(self.root_certificate, self.private_key, self.certificate)

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
        return grpc.ssl_server_credentials(
            [(self.private_key, self.certificate)],
            self.root_certificate,
            require_client_certificate,
        )


def _check_present(folder: Path) -> None:
    missing = [name for name in ("ca.crt", "tls.crt", "tls.key") if not (folder / name).is_file()]
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
