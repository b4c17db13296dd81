"""The code that a person copies, types or reads aloud."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.errors import IdentityError
from cloud_sync.invitation import Invitation, parse_invitation

KIWI = Invitation("sync.example.org", 8443, "kiwi-07", bytes(range(8)), bytes(range(100, 116)))
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(names, st.binary(min_size=8, max_size=8), st.binary(min_size=16, max_size=16))
def test_what_is_printed_is_read_as_it_was_meant(name: str, secret: bytes, authority: bytes) -> None:
    """SYNC-076."""
    for host in ("sync.example.org", "192.0.2.7", "2001:db8::7"):
        invitation = Invitation(host, 8443, name, secret, authority)
        assert parse_invitation(invitation.text) == invitation


def test_it_has_ten_groups_of_four_without_letters_that_read_as_digits() -> None:
    """SYNC-076."""
    where, name, groups = KIWI.text.split("/")
    assert (where, name) == ("sync.example.org:8443", "kiwi-07")
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){9}[0-9A-HJKMNP-TV-Z]{4}", groups)


def test_it_may_be_written_as_people_write() -> None:
    """SYNC-076."""
    where, name, groups = KIWI.text.split("/")
    for written in (
        groups.lower(),
        groups.replace("-", " "),
        groups.replace("-", ""),
        groups.replace("0", "O").replace("1", "l"),
        groups.replace("0", "o").replace("1", "I"),
    ):
        assert parse_invitation(f" {where}/{name.upper()}/{written}\n") == KIWI


@given(st.integers(0, 39), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_wrong_character_is_told_in_all_but_few_cases(place: int, character: str) -> None:
    """SYNC-076: 8 bits of check let one mistake in 256 pass, which the server then refuses."""
    where, name, groups = KIWI.text.split("/")
    letters = list(groups.replace("-", ""))
    if letters[place] == character:
        return
    letters[place] = character
    with contextlib.suppress(IdentityError):
        assert parse_invitation(f"{where}/{name}/{''.join(letters)}") != KIWI


def test_a_mistyped_name_is_told() -> None:
    """SYNC-076."""
    with pytest.raises(IdentityError, match="mistyped"):
        parse_invitation(KIWI.text.replace("kiwi-07", "kiwi-08"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no invitation"),
        ("kiwi", "no invitation"),
        ("sync.example.org/kiwi-07/ABCD", "no invitation"),
        ("sync.example.org:0/kiwi-07/ABCD", "no invitation"),
        ("sync.example.org:99999/kiwi-07/ABCD", "no invitation"),
        ("a..b:8443/kiwi-07/ABCD", "no host name"),
        ("sync.example.org:8443/pomona-server/ABCD", "cannot name a device"),
        ("sync.example.org:8443/kiwi-07/ABCD-EFGH", "40 digits and letters"),
        ("sync.example.org:8443/kiwi-07/" + "U" * 40, "letters other than U"),
    ],
)
def test_something_else_is_told_from_an_invitation(text: str, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        parse_invitation(text)


def test_the_secret_is_not_shown() -> None:
    """SYNC-094."""
    assert KIWI.secret.hex() not in repr(KIWI)
    assert str(KIWI.secret) not in repr(KIWI)
    groups = KIWI.text.split("/")[2]
    for wrong in (KIWI.text.replace("kiwi-07", "kiwi-08"), KIWI.text + "A", KIWI.text.replace("8443", "x")):
        with pytest.raises(IdentityError) as caught:
            parse_invitation(wrong)
        assert not any(group in str(caught.value) for group in groups.split("-")[:4])
