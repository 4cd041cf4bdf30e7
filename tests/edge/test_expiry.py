"""When certificates end: read from the file itself, and said at 30, 7 and 1 days, each once."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from davylamp_edge.expiry import DAY_MS, Certificates, end_in, end_of, first_end_in
from structlog.testing import capture_logs
from support.certificates import Authority

DAYS = 1_000_000_000_000


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    with capture_logs() as found:
        yield list_of(found)


def list_of(found: object) -> list[structlog.typing.EventDict]:
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("days", [-5, 3, 400, 20_000])
def test_the_end_is_the_one_the_certificate_has(tmp_path: Path, days: float) -> None:
    """Beyond 2049 a certificate tells time in another form."""
    certificate = Authority(tmp_path, days=days).certificate
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "authority.pem").read_text())
    assert end_of(der) == certificate.not_valid_after_utc.timestamp() * 1000


def test_of_several_certificates_in_a_file_the_first_end_counts(tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "a", days=10), Authority(tmp_path, "b", days=5)
    both = tmp_path / "both.pem"
    both.write_text(first.file.read_text() + second.file.read_text())
    assert first_end_in(both) == first_end_in(second.file)


def test_a_file_may_hold_der_or_pem(tmp_path: Path) -> None:
    pem = Authority(tmp_path, days=10).file
    der = tmp_path / "authority.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pem.read_text()))
    assert end_in(der) == end_in(pem) == first_end_in(pem)


def test_what_a_config_names_no_more_is_forgotten() -> None:
    certificates = Certificates()
    for name in ("server of tank-1", "server of tank-2"):
        certificates.found(name, 5 * DAY_MS, 0)
    certificates.keep({"server of tank-2"})
    assert certificates.days(0) == {"server of tank-2": 5.0}


@pytest.mark.parametrize(
    "bytes_", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"no certificate at all", b"\x30\x82\xff\xff"]
)
def test_what_is_no_certificate_is_said(bytes_: bytes) -> None:
    with pytest.raises(ValueError, match=r"X\.509"):
        end_of(bytes_)


def test_every_cut_of_a_certificate_is_refused(tmp_path: Path) -> None:
    Authority(tmp_path)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "authority.pem").read_text())
    for length in range(len(der)):
        with pytest.raises(ValueError, match=r"X\.509"):
            end_of(der[:length])


def test_it_is_said_30_7_and_1_days_ahead_and_when_it_has_ended_each_once(
    logs: list[structlog.typing.EventDict],
) -> None:
    certificates, end_ms = Certificates(), 100 * DAY_MS
    for hour in range(102 * 24):
        certificates.found("client", end_ms, hour * DAY_MS // 24)
    assert [(entry["log_level"], entry.get("days")) for entry in logs] == [
        ("warning", 30.0),
        ("warning", 7.0),
        ("warning", 1.0),
        ("error", None),
    ]
    assert certificates.days(102 * DAY_MS) == {"client": -2.0}


def test_a_renewed_certificate_is_said_and_warned_of_again(logs: list[structlog.typing.EventDict]) -> None:
    certificates = Certificates()
    for end_days in (5, 400, 5):
        certificates.found("client", end_days * DAY_MS, 0)
    assert [entry["event"] for entry in logs] == [
        "certificate ends soon, renew it",
        "certificate renewed",
        "certificate ends soon, renew it",
    ]


def test_a_file_that_is_gone_keeps_the_end_it_had_and_is_said_once(
    tmp_path: Path, logs: list[structlog.typing.EventDict]
) -> None:
    authority, certificates = Authority(tmp_path, days=99), Certificates()
    now_ms = first_end_in(authority.file) - 50 * DAY_MS
    certificates.look({"ca": authority.file}, now_ms)
    authority.file.unlink()
    certificates.look({"ca": authority.file}, now_ms)
    certificates.look({"ca": authority.file}, now_ms)
    assert certificates.days(now_ms) == {"ca": 50.0}
    assert [entry["event"] for entry in logs] == ["certificate cannot be read"]


def test_what_is_known_from_a_handshake_goes_on_counting(
    tmp_path: Path, logs: list[structlog.typing.EventDict]
) -> None:
    certificates = Certificates()
    certificates.saw("broker", ssl.PEM_cert_to_DER_cert(Authority(tmp_path, days=40).file.read_text()), 0)
    end_ms = first_end_in(tmp_path / "authority.pem")
    certificates.look({}, end_ms - 6 * DAY_MS)
    assert [(entry["certificate"], entry["days"]) for entry in logs] == [("broker", 6.0)]
