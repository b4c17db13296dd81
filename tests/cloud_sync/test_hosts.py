"""What may name a host."""

from __future__ import annotations

import pytest

from cloud_sync.hosts import check_host, is_wildcard


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "sync.example.org",
            "SYNC.example.org",
            "a-b.c_d",
            "1.example.org",
            "x" * 63,
            "xn--bcher-kva.de",
        ),
        *("192.0.2.7", "0.0.0.0", "::", "::1", "2001:db8::7"),
    ],
)
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "a..b", ".a", "a.", "-a", "a-", "a b", "a\n", "a/b", "a%b", "bücher.de", "a²", "²"),
        *("sync.example.org:8883", "192.0.2.7:8883", "[::1]", "fe80::1%eth0", "::1::", "192.0.2", "192.0.2.256", "10"),
        *("x" * 64, ".".join(["x" * 63] * 4)),
    ],
)
def test_other_texts_are_none(host: str) -> None:
    with pytest.raises(ValueError, match="is no host name or IP address"):
        check_host(host)


@pytest.mark.parametrize(
    ("host", "wildcard"), [("0.0.0.0", True), ("::", True), ("0:0::0", True), ("::1", False), ("a", False)]
)
def test_a_wildcard_is_told_from_an_address(host: str, wildcard: bool) -> None:
    assert is_wildcard(host) is wildcard
