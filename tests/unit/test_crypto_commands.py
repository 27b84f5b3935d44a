"""`keras-split keygen` and `keras-split roster`: what they write, and what they refuse."""

from __future__ import annotations

import stat

import pytest
from click.testing import CliRunner

from keras_split.cli import main
from keras_split.cli.text import grouped
from keras_split.crypto import Identity, Member, passphrases, read_roster, read_rosters

USAGE, FAILED = 2, 1


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(passphrases, "_MEMORY_KIB", 64)
    return tmp_path


def run(line: str, expected: int = 0) -> str:
    result = CliRunner().invoke(main, line.split(), prog_name="keras-split")
    assert result.exit_code == expected, result.output
    return " ".join(result.output.split())


@pytest.fixture
def people(folder):
    for name in ("owner", "hospital-a", "hospital-b", "hospital-c"):
        run(f"keygen --out {name}.key --classical")
    (folder / "pass").write_text("the owners' passphrase\nand a note\n")
    (folder / "pass").chmod(0o600)
    run("keygen --out second.key --classical --passphrase-file pass")
    return folder


@pytest.fixture
def roster(people):
    run("roster create --owner owner.key --member hospital-a.pub --member hospital-b.pub --out roster.json")
    return people / "roster.json"


def test_keygen_writes_a_secret_and_a_public_file(folder):
    output = run("keygen --out keys/hospital-a.key")
    member = Member.from_json((folder / "keys" / "hospital-a.pub").read_text())
    assert Identity.load(folder / "keys" / "hospital-a.key").member == member
    assert (member.name, member.suite) == ("hospital-a", "mlkem768-x25519")
    assert grouped(member.fingerprint) in output
    assert stat.S_IMODE((folder / "keys" / "hospital-a.key").stat().st_mode) == 0o600


def test_keygen_takes_another_name_and_classical_keys(folder):
    run("keygen --out new.key --name hospital-a --classical")
    member = Identity.load(folder / "new.key").member
    assert (member.name, member.suite) == ("hospital-a", "x25519")


def test_keygen_prints_no_secret(folder):
    output = run("keygen --out a.key")
    assert Identity.load(folder / "a.key")._secret.hex()[:16] not in output


def test_keygen_overwrites_neither_file(folder):
    run("keygen --out a.key --classical")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert "never overwritten" in run("keygen --out a.key --classical", FAILED)
    (folder / "a.key").rename(folder / "b.key")
    assert "a.pub exists" in run("keygen --out a.key --classical", FAILED)
    assert "Use another suffix" in run("keygen --out c.pub", USAGE)
    (folder / "b.key").rename(folder / "a.key")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_name_that_no_member_can_have_leaves_no_file(folder):
    assert "letters, digits" in run("keygen --out a.key --name a/b", FAILED)
    assert not list(folder.iterdir())


def test_a_passphrase_that_others_can_read_is_refused(folder):
    (folder / "pass").write_text("hush")
    (folder / "pass").chmod(0o644)
    assert "chmod 600" in run("keygen --out a.key --passphrase-file pass", FAILED)
    assert not (folder / "a.key").exists()


def test_create_makes_a_roster_that_the_owner_signed(roster):
    made = read_roster(roster.read_text(), trusted_owners=[Identity.load("owner.key").member])
    assert [member.name for member in made.members] == ["hospital-a", "hospital-b"]
    output = run("roster show roster.json")
    assert "owner (1 of 1 needed)" in output
    assert all(grouped(member.fingerprint) in output for member in made.members)


def test_create_overwrites_no_roster(roster):
    before = roster.read_text()
    assert "roster add" in run(
        "roster create --owner owner.key --member hospital-a.pub --out roster.json", FAILED
    )
    assert roster.read_text() == before


@pytest.mark.parametrize("name", ["trial-7", "7A1A1A7E", "7a1a1a7", "7a" * 33, "../7a1a1a7e"])
def test_a_run_is_named_as_every_way_of_handing_over_can_name_it(people, name):
    line = f"roster create --owner owner.key --member hospital-a.pub --run {name} --out roster.json"
    assert "8 to 64 hex digits in lower case" in run(line, USAGE)
    assert not (people / "roster.json").exists()


def test_owners_sign_on_their_own_machines(people):
    line = "roster create --owner owner.key --owner second.pub --threshold 2 --run 7a1a1a7e"
    assert "needs 1 more of second" in run(f"{line} --member hospital-a.pub --out roster.json")
    assert "keras-split roster sign" in run("roster show roster.json", FAILED)
    assert "--passphrase-file" in run("roster sign roster.json --owner second.key", FAILED)
    run("roster sign roster.json --owner second.key --passphrase-file pass")
    run("roster show roster.json")
    assert read_roster((people / "roster.json").read_text()).run == "7a1a1a7e"
    run("roster add roster.json --member hospital-b.pub --owner owner.key")
    assert "signatures=1" in run("roster show roster.json", FAILED)
    run("roster sign roster.json --owner second.key --passphrase-file pass")
    assert read_roster((people / "roster.json").read_text()).epoch == 2


def test_members_are_added_and_removed(roster):
    run("roster add roster.json --member hospital-c.pub --owner owner.key")
    run("roster remove roster.json --member hospital-a --owner owner.key")
    rosters = read_rosters(roster.read_text())
    assert [[member.name for member in each.members] for each in rosters] == [
        ["hospital-a", "hospital-b"],
        ["hospital-a", "hospital-b", "hospital-c"],
        ["hospital-b", "hospital-c"],
    ]


def test_a_member_gives_itself_new_keys_and_the_owner_signs(roster):
    run("keygen --out new.key --name hospital-a --classical")
    before = roster.read_text()
    refusal = run("roster rotate roster.json --old hospital-b.key --new new.pub --owner owner.key", FAILED)
    assert "--name hospital-b" in refusal
    assert roster.read_text() == before
    run("roster rotate roster.json --old hospital-a.key --new new.pub")
    run("roster show roster.json", FAILED)
    run("roster sign roster.json --owner owner.key")
    assert read_roster(roster.read_text()).find("hospital-a") == Identity.load("new.key").member


def test_who_is_no_owner_changes_nothing(roster):
    before = roster.read_text()
    for line in (
        "roster sign roster.json --owner hospital-a.key",
        "roster add roster.json --member hospital-c.pub --owner hospital-a.key",
        "roster remove roster.json --member hospital-b --owner hospital-a.key",
    ):
        assert "not an owner" in run(line, FAILED)
    assert "Give --owner KEY" in run("roster sign roster.json", USAGE)
    assert roster.read_text() == before
    assert not list(roster.parent.glob(".roster.json*"))


@pytest.mark.parametrize("command", ["create", "show", "add", "remove", "rotate", "sign"])
def test_every_command_of_a_roster_explains_itself(command):
    assert run(f"roster {command} --help").startswith(f"Usage: keras-split roster {command} ")


def test_a_file_of_another_kind_is_named(people):
    assert "no roster file" in run("roster show hospital-a.pub", FAILED)
    assert "no public key file" in run(
        "roster create --owner owner.key --member owner.key --out roster.json", FAILED
    )
    assert "no key file" in run(
        "roster create --owner pass --member hospital-a.pub --out roster.json", FAILED
    )
