"""A certificate authority for development, with a certificate for each party.

```
out/ca/           ca.crt  ca.key             keep it offline; whoever has ca.key can be anybody
out/server/       ca.crt  tls.crt  tls.key   goes to the server
out/store/        ca.crt  tls.crt  tls.key   goes to a weight store, if there is one
out/<client>/     ca.crt  tls.crt  tls.key   goes to that data owner
out/<inference>/  ca.crt  tls.crt  tls.key   goes to who only asks for predictions
```

Rules: ECDSA on P-256 (gRPC refuses Ed25519). Each leaf is good for both ends of a connection, since data
owners may serve each other, and names its holder as `keras-split://<role>/<name>` (`roles`). Keys are
readable by their owner alone, and nothing is ever overwritten. A company with an authority of its own
needs only the three files, with that URI in each certificate.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keras_split.keyfiles import read_key, write_key
from keras_split.roles import Caller, party

__all__ = ["HOSTS", "LEAF_DAYS", "create", "create_authority", "issue", "read_key"]

HOSTS = ("localhost", "127.0.0.1", "::1")
LEAF_DAYS = 90
AUTHORITY_DAYS = 365
_MOST_DAYS = 36_500

# Clocks of two machines differ, and a certificate made now must be good on both.
_CLOCK_SKEW = timedelta(minutes=5)

Role = Literal["trainer", "inference", "store", "server", "peer", "client"]

_DNS_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def create(
    out: str | Path,
    server: Sequence[str] = HOSTS,
    clients: Iterable[str] | Mapping[str, Sequence[str]] = (),
    *,
    inference: Iterable[str] = (),
    store: Sequence[str] = (),
    days: int = LEAF_DAYS,
) -> None:
    """Makes an authority, a certificate for one server and one for each client.

    Args:
        out: Folder for the set; made if it is missing.
        server: DNS names and IP addresses by which clients reach the server.
        clients: Names of the data owners. A dict from names to the DNS names and IP addresses at which
            other data owners reach them; this machine's where there are none.
        inference: Names of those who may ask for predictions, and do nothing else.
        store: DNS names and IP addresses of a weight store, which gets a certificate if there are any.
        days: How long the certificates are good for.

    Raises:
        ValueError: A name, host or number of days that no certificate can have. Nothing is made.
        FileExistsError: Something of the set is there already.
    """
    parties = _parties(server, clients, inference, store)
    _check_days(days)
    for each, hosts in parties:
        _alternative_names(each, hosts)
    create_authority(out, days=max(days, AUTHORITY_DAYS))
    for each, hosts in parties:
        _issue(Path(out), each, hosts, days)


def _parties(
    server: Sequence[str],
    clients: Iterable[str] | Mapping[str, Sequence[str]],
    inference: Iterable[str],
    store: Sequence[str],
) -> list[tuple[Caller, Sequence[str]]]:
    hosts = clients if isinstance(clients, Mapping) else {}
    trainers = [(_party("trainer", name), hosts.get(name) or HOSTS) for name in _several("clients", clients)]
    others = [(_party("inference", name), HOSTS) for name in _several("inference", inference)]
    stores = [(_party("store", "store"), store)] if _several("store", store) else []
    parties = [(_party("server", "server"), server), *stores, *trainers, *others]
    names = [each.name for each, _ in parties]
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(
            "Each party needs a name of its own, and `server` and `store` are taken. "
            f"Received: names={names!r}."
        )
    return parties


def create_authority(directory: str | Path, *, days: int = AUTHORITY_DAYS) -> None:
    """Makes `directory/ca` with the authority's certificate and key.

    Raises:
        ValueError: `days` is out of range.
        FileExistsError: There is an authority already; `issue` adds a party to it.
    """
    _check_days(days)
    key = ec.generate_private_key(ec.SECP256R1())
    # Two authorities must not share a name, or a TLS library blames the signature of the wrong one.
    name = _subject(f"keras_split development authority {secrets.token_hex(4)}")
    builder = _builder(name, name, key, _now() + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(is_authority=True), critical=True)
    folder = _new_folder(Path(directory) / "ca")
    _write_certificate(folder / "ca.crt", builder.sign(key, hashes.SHA256()))
    write_key(folder / "ca.key", _key_pem(key))


def issue(
    directory: str | Path,
    name: str,
    *,
    hosts: Sequence[str] = HOSTS,
    role: Role,
    days: int = LEAF_DAYS,
) -> None:
    """Makes `directory/name` with a certificate of the authority in `directory/ca`.

    Args:
        directory: Where `create_authority` made the authority.
        name: The party's name: a folder and the end of its identity.
        hosts: DNS names and IP addresses where others reach this party.
        role: What the identity says that the party is; `"client"` is an older word for `"trainer"`.
        days: How long the certificate is good for, and never longer than the authority's.

    Raises:
        ValueError: A name, host, role or number of days that no certificate can have.
        FileNotFoundError: There is no authority.
        FileExistsError: This party has a certificate.
        PermissionError: The authority's key is readable by others.
    """
    _check_days(days)
    _issue(Path(directory), _party(role, name), hosts, days)


def _issue(directory: Path, holder: Caller, hosts: Sequence[str], days: int) -> None:
    names = _alternative_names(holder, hosts)
    authority = _load_authority(directory / "ca")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _leaf(authority, key, holder.name, names, days)
    folder = _new_folder(directory / holder.name)
    _write_certificate(folder / "ca.crt", authority.certificate)
    _write_certificate(folder / "tls.crt", certificate)
    write_key(folder / "tls.key", _key_pem(key))


def _leaf(
    authority: _Authority,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    names: list[x509.GeneralName],
    days: int,
) -> x509.Certificate:
    issuer = authority.certificate
    end = min(_now() + timedelta(days=days), issuer.not_valid_after_utc)
    builder = _builder(_subject(name), issuer.subject, key, end)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(is_authority=False), True),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ):
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative_names(holder: Caller, hosts: Sequence[str]) -> list[x509.GeneralName]:
    names = [_host(host) for host in _several("hosts", hosts)]
    if not names:
        raise ValueError("Give at least one DNS name or IP address. Received: hosts=[].")
    return [*names, x509.DNSName(holder.host_name), x509.UniformResourceIdentifier(str(holder))]


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _DNS_NAME.fullmatch(host):
        raise ValueError(
            "A host is a DNS name or an IP address, with no scheme or port (write a name with "
            f"other letters as its `xn--` form). Received: host={host!r}."
        )
    return x509.DNSName(host)


def _party(role: str, name: str) -> Caller:
    if name.lower() == "ca":
        raise ValueError(f"`ca` is the authority's folder, and no party's name. Received: name={name!r}.")
    return party(role, name)


def _check_days(days: int) -> None:
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError(f"A certificate is good for 1 to {_MOST_DAYS} days. Received: days={days!r}.")


def _several(argument: str, values: Iterable[str]) -> Iterable[str]:
    """Refuses the slip of one string for a list, which would mean one name for each letter."""
    if isinstance(values, str):
        raise ValueError(f"Give a list of names, not one. Received: {argument}={values!r}.")
    return values


def _load_authority(folder: Path) -> _Authority:
    if not (folder / "ca.key").exists():
        raise FileNotFoundError(
            f"There is no authority in {folder}. Make one with `certs.create_authority"
            f"({str(folder.parent)!r})`, or a whole set with `keras-split certs`."
        )
    certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key(read_key(folder / "ca.key"), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{folder / 'ca.key'} is not of a keras_split authority: not ECDSA.")
    return _Authority(certificate, key)


def _new_folder(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists, and keys are never overwritten. Choose another folder, or, if no one "
            f"uses what is in it any more, run `rm -r {shlex.quote(str(path))}` first."
        ) from None
    return path


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
