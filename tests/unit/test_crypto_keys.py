"""Identities: what a key can be, where it lies, and that it is never shown."""

from __future__ import annotations

import json
import pickle
import stat
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keras_split.crypto import Identity, Member, passphrases
from keras_split.crypto.ed25519 import is_sound
from keras_split.crypto.wrapping import SUITES
from keras_split.errors import WrongRecipients

P = 2**255 - 19
# y of the points of order 8; RFC 8032's curve has two, and each with both signs of x.
ORDER_EIGHT = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
SMALL_ORDER = [
    y | sign << 255
    for y in (0, 1, P - 1, P, P + 1, *(int.from_bytes(bytes.fromhex(each), "little") for each in ORDER_EIGHT))
    for sign in (0, 1)
]
PASSPHRASE = "a passphrase of some length"


@pytest.fixture(params=[True, False], ids=["post-quantum", "classical"])
def identity(request):
    return Identity.generate("alice", post_quantum=request.param)


@pytest.fixture
def quick(monkeypatch):
    """What makes a passphrase slow to try is not what these tests are about."""
    monkeypatch.setattr(passphrases, "_MEMORY_KIB", 64)


@pytest.mark.parametrize("number", SMALL_ORDER)
def test_a_signing_key_of_small_order_is_refused(number, identity):
    key = number.to_bytes(32, "little")
    with pytest.raises(ValueError, match="small order"):
        replace(identity.member, signing_key=key)


def test_bytes_that_are_no_point_of_the_curve_are_no_signing_key():
    y = next(y for y in range(2, 50) if not is_sound(y.to_bytes(32, "little")))
    x_squared = (y * y - 1) * pow(-121665 * pow(121666, -1, P) * y * y + 1, -1, P) % P
    assert pow(x_squared, (P - 1) // 2, P) == P - 1
    assert not is_sound(b"\xff" * 32) and not is_sound(bytes(31)) and not is_sound(b"")


def test_keys_that_were_made_honestly_are_sound():
    keys = [Ed25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(100)]
    assert all(map(is_sound, keys))


@pytest.mark.parametrize("point", [0, 1, P - 1, P])
def test_a_wrapping_key_of_small_order_is_refused(point, identity):
    key = identity.member.wrapping_key[:-32] + point.to_bytes(32, "little")
    with pytest.raises(ValueError, match="cannot|no public key"):
        replace(identity.member, wrapping_key=key)


def test_a_lattice_key_with_impossible_coefficients_is_refused():
    member = Identity.generate("alice").member
    with pytest.raises(ValueError, match="no public key"):
        replace(member, wrapping_key=b"\xff" * 1184 + member.wrapping_key[1184:])


@pytest.mark.parametrize("change", [{"wrapping_key": b"short"}, {"signing_key": b"short"}, {"suite": "rsa"}])
def test_keys_of_wrong_length_and_unknown_suites_are_refused(change, identity):
    with pytest.raises(ValueError):
        replace(identity.member, **change)


@pytest.mark.parametrize("name", ["", "-a", "a" * 65, "a/b", "a\n", "ä", "..", "a b"])
def test_a_name_that_is_a_path_or_unreadable_is_refused(name):
    with pytest.raises(ValueError, match="letters, digits"):
        Identity.generate(name, post_quantum=False)


def test_a_member_survives_its_file(identity):
    text = identity.member.to_json()
    assert Member.from_json(text) == identity.member
    assert Member.from_json(text).fingerprint == identity.member.fingerprint


def test_every_field_is_part_of_the_fingerprint(identity):
    other = Identity.generate("alice", identity.member.suite != "x25519").member
    changes = ({"name": "alicia"}, {"signing_key": other.signing_key}, {"wrapping_key": other.wrapping_key})
    prints = {
        identity.member.fingerprint,
        *(replace(identity.member, **each).fingerprint for each in changes),
    }
    assert len(prints) == 4


def test_a_public_file_with_a_key_twice_or_one_too_many_is_refused(identity):
    text = identity.member.to_json()
    twice = text.replace("{", '{"name":"mallory",', 1)
    more = json.dumps({**json.loads(text), "role": "owner"})
    for changed in (twice, more, text.upper(), "{}", "[]", "null", ""):
        with pytest.raises(ValueError, match="no public key file"):
            Member.from_json(changed)


def test_a_public_file_of_any_size_is_refused_unread():
    with pytest.raises(ValueError, match="at most"):
        Member.from_json('{"name":"' + "a" * 10_000_000 + '"}')


def test_only_the_signed_message_verifies(identity):
    signature = identity.sign(b"message")
    assert identity.member.verify(signature, b"message")
    assert not identity.member.verify(signature, b"messagE")
    assert not identity.member.verify(b"", b"message")
    assert not Identity.generate("alice", False).member.verify(signature, b"message")


def test_a_wrap_opens_for_its_key_and_its_purpose_only(identity):
    wrapped = identity.member.wrapping.wrap(b"k" * 32, identity.member.wrapping_key, b"purpose")
    assert len(wrapped) == identity.member.wrapping.wrap_bytes
    assert identity.unwrap(wrapped, b"purpose") == b"k" * 32
    other = Identity.generate("alice", identity.member.suite != "x25519")
    flipped = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    for who, what, why in (
        (other, wrapped, b"purpose"),
        (identity, wrapped, b"other"),
        (identity, flipped, b"purpose"),
        (identity, wrapped[:-1], b"purpose"),
        (identity, b"", b"purpose"),
    ):
        with pytest.raises(WrongRecipients, match="newest key file"):
            who.unwrap(what, why)


def test_wraps_have_the_sizes_that_the_documentation_names():
    assert {name: suite.wrap_bytes for name, suite in SUITES.items()} == {
        "x25519": 80,
        "mlkem768-x25519": 1168,
    }


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_file_gives_the_identity_back(identity, tmp_path, passphrase, quick):
    path = tmp_path / "keys" / "alice.key"
    identity.save(path, passphrase)
    loaded = Identity.load(path, passphrase)
    assert loaded.member == identity.member
    wrapped = identity.member.wrapping.wrap(b"k" * 32, identity.member.wrapping_key, b"")
    assert loaded.unwrap(wrapped, b"") == b"k" * 32
    assert loaded.sign(b"x") == identity.sign(b"x")


def test_a_key_file_and_its_folder_are_their_owners_alone(identity, tmp_path):
    path = tmp_path / "keys" / "alice.key"
    identity.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(identity, tmp_path, mode):
    path = tmp_path / "alice.key"
    identity.save(path)
    path.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        Identity.load(path)


def test_a_key_is_never_overwritten(identity, tmp_path):
    path = tmp_path / "alice.key"
    identity.save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="another name"):
        Identity.generate("alice", False).save(path)
    assert path.read_bytes() == before


def test_a_sealed_key_opens_with_its_passphrase_only(identity, tmp_path, quick):
    path = tmp_path / "alice.key"
    identity.save(path, PASSPHRASE)
    assert identity._secret.hex() not in path.read_text()
    with pytest.raises(ValueError, match="does not open"):
        Identity.load(path, PASSPHRASE + " ")
    with pytest.raises(ValueError, match="--passphrase-file"):
        Identity.load(path)
    with pytest.raises(ValueError, match="empty"):
        identity.save(tmp_path / "other.key", "")


def test_one_try_of_a_passphrase_takes_64_mib(monkeypatch):
    costs = []

    real = passphrases.Argon2id

    def counted(**cost):
        costs.append((cost["iterations"], cost["lanes"], cost["memory_cost"] * 1024))
        return real(**{**cost, "memory_cost": 64})

    monkeypatch.setattr(passphrases, "Argon2id", counted)
    passphrases.seal(PASSPHRASE, b"secret", b"")
    assert costs == [(3, 4, 64 << 20)]


def test_a_sealed_key_cannot_be_given_another_name(identity, tmp_path, quick):
    path = tmp_path / "alice.key"
    identity.save(path, PASSPHRASE)
    path.write_text(path.read_text().replace('"alice"', '"mallory"'))
    with pytest.raises(ValueError, match="was changed"):
        Identity.load(path, PASSPHRASE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'"x"',
        b"\xff\xfe",
        b'{"format":"keras_split.identity/1","name":"a","suite":[],"secret":""}',
        b'{"format":"keras_split.identity/1","name":"a","suite":"x25519","secret":"00"}',
        b'{"format":"keras_split.identity/1","name":"a","suite":"x25519","secret":7}',
        b'{"format":"keras_split.identity/1","name":7,"suite":"x25519","secret":"' + b"11" * 64 + b'"}',
        b'{"format":"keras_split.identity/1","name":"a","suite":"x25519","other":""}',
        b'{"format":"keras_split.identity/1","name":"a","suite":"x25519","sealed":"00"}',
        b"0" * 100_000,
    ],
)
def test_what_is_no_key_file_is_a_value_error(content, tmp_path, quick):
    path = tmp_path / "alice.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ValueError):
        Identity.load(path, PASSPHRASE)


def test_no_secret_is_shown_or_copied(identity, tmp_path, quick):
    path = tmp_path / "alice.key"
    identity.save(path, PASSPHRASE)
    shown = [repr(identity), str(identity), repr(identity.member), path.read_text()]
    for call in (
        lambda: Identity.load(path, "wrong " + PASSPHRASE),
        lambda: identity.unwrap(b"x" * 1168, b""),
        lambda: Identity("alice", identity.member.suite, identity._secret + b"0"),
        lambda: Identity("a/b", identity.member.suite, identity._secret),
    ):
        with pytest.raises((ValueError, WrongRecipients)) as caught:
            call()
        shown.append(f"{caught.value!s} {caught.value!r}")
    secrets = [identity._secret.hex()[at : at + 16] for at in range(0, 128, 16)]
    secrets += [repr(identity._secret[at : at + 8])[2:-1] for at in range(0, 64, 8)]
    assert not [secret for secret in (*secrets, PASSPHRASE) if any(secret in text for text in shown)]
    with pytest.raises(TypeError):
        pickle.dumps(identity)
