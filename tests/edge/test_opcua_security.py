"""Who trusts whom over OPC UA: real certificates on a real server, and everything that must be refused."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from cryptography.hazmat.primitives.serialization import Encoding
from davylamp_edge.__main__ import BAD_INPUT, OK, main
from davylamp_edge.drivers import DeviceUnreachable
from davylamp_edge.drivers.opcua import OpcuaDriver, settings_problems
from davylamp_edge.drivers.opcua_session import Session
from davylamp_edge.drivers.opcua_trust import TrustFolder, Untrusted, certificate_in, uris_of
from davylamp_edge.opcua_settings import OpcuaSettings
from davylamp_wire.quality import GOOD
from pydantic import ValidationError
from support import pki, services
from support.field import PLANT_URI, device, edge_config, opcua_plant, point, profile, scanning

in_one_loop = pytest.mark.asyncio(loop_scope="module")
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
HOST = "127.0.0.1"


class Users:
    """Knows one user by password and one by certificate."""

    def __init__(self) -> None:
        self.certificate = b""
        self.seen: list[str] = []

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        # A server hands over the application's certificate where there is no user.
        by_certificate = bool(self.certificate) and certificate == self.certificate
        self.seen.append(username or ("certificate" if by_certificate else "anonymous"))
        known = username is None or (username, password) == ("reader", "s3cret")
        return User(role=UserRole.User) if known else None


class Secured:
    """A server with every policy, its certificate, and a client's own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.users = Users()
        self.theirs = pki.own("urn:freeopcua:python:server", HOST)
        self.files = pki.write(folder / "server", "server", self.theirs)
        self.certificate, self.key = pki.write(folder / "edge", "edge", pki.own("urn:plant:edge-1", HOST))
        self.trusted = folder / "trusted"
        pki.write(self.trusted, "server", self.theirs)
        self.address = ""

    async def secure(self, server: Server) -> None:
        kinds = [ua.SecurityPolicyType[f"{p}_{m}"] for p in POLICIES for m in ("Sign", "SignAndEncrypt")]
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity, *kinds])
        await server.load_certificate(str(self.files[0]))
        await server.load_private_key(str(self.files[1]), format="pem")

    def settings(self, **said: Any) -> OpcuaSettings:
        own = {"certificate_file": self.certificate, "key_file": self.key, "trust_folder": self.trusted}
        return OpcuaSettings.model_validate({"policy": "Basic256Sha256", **own, **said})

    def session(self, **said: Any) -> Session:
        return Session(self.address, 5.0, self.settings(**said))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """One server for all: making keys and starting it take seconds."""
    made = Secured(tmp_path_factory.mktemp("pki"))
    async with opcua_plant(services.free_port(), secure=made.secure, users=made.users, level=1.5) as plant:
        made.address = plant.address
        yield made


@in_one_loop
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("security", ["Sign", "SignAndEncrypt"])
async def test_every_policy_opens_a_session_that_reads(secured: Secured, policy: str, security: str) -> None:
    session = secured.session(policy=policy, security=security)
    await session.open()
    assert session.client.security_policy.URI.replace("_", "").endswith(policy)
    clock, *_ = await session.read([])
    assert clock.Value is not None
    await session.close()


@in_one_loop
async def test_a_server_nobody_vouches_for_is_refused_and_its_certificate_put_aside(
    secured: Secured, tmp_path: Path
) -> None:
    pki.write(tmp_path, "other", pki.own("urn:other"))
    session = secured.session(trust_folder=tmp_path)
    for _ in range(2):
        with pytest.raises(DeviceUnreachable, match=r"is not trusted; look at .*rejected.* and move it into"):
            await session.open()
    (rejected,) = (tmp_path / "rejected").iterdir()
    assert certificate_in(rejected) == secured.theirs[0]
    rejected.rename(tmp_path / rejected.name)
    await session.open()
    await session.close()


@in_one_loop
async def test_a_policy_the_server_does_not_offer_names_those_it_does(secured: Secured) -> None:
    session = secured.session(policy="Basic256", allow_deprecated=True)
    with pytest.raises(DeviceUnreachable, match=r"offers no Basic256/SignAndEncrypt; it offers .*Basic256Sha256/Sign"):
        await session.open()


@in_one_loop
async def test_a_user_is_known_by_name_and_password_from_a_file(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    session = secured.session(username="reader", password_file=tmp_path / "password")
    await session.open()
    assert secured.users.seen[-1] == "reader"
    await session.close()
    (tmp_path / "password").write_text("wrong")
    with pytest.raises(DeviceUnreachable, match="BadUserAccessDenied") as refused:
        await session.open()
    assert "wrong" not in str(refused.value)


@in_one_loop
async def test_a_user_is_known_by_a_certificate(secured: Secured, tmp_path: Path) -> None:
    pair = pki.own("urn:plant:reader")
    certificate, key = pki.write(tmp_path, "reader", pair)
    secured.users.certificate = pair[0].public_bytes(Encoding.DER)
    session = secured.session(user_certificate_file=certificate, user_key_file=key)
    await session.open()
    assert secured.users.seen[-1] == "certificate"
    await session.close()


@in_one_loop
async def test_values_come_by_themselves_through_a_secured_session(secured: Secured) -> None:
    level = point(type="float64", address={"opcua": f"nsu={PLANT_URI};s=level"})
    settings = secured.settings(policy="Aes256Sha256RsaPss").model_dump(mode="json", exclude_none=True)
    config = edge_config(device(secured.address, driver="opcua", opcua=settings))
    async with scanning(config, {"rig": profile({"level": level})}) as (scanner, collector):
        await collector.until(lambda: ("level", 1.5, GOOD) in collector.rows(scanner.devices[0]))


@in_one_loop
@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_until_when_a_server_is_trusted_shows_on_its_device(secured: Secured, mode: str) -> None:
    settings = secured.settings().model_dump(mode="json", exclude_none=True) | {"mode": mode}
    level = point(type="float64", address={"opcua": f"nsu={PLANT_URI};s=level"})
    config = edge_config(device(secured.address, driver="opcua", opcua=settings))
    async with scanning(config, {"rig": profile({"level": level})}) as (scanner, collector):
        await collector.until(lambda: ("level", 1.5, GOOD) in collector.rows(scanner.devices[0]))
        ends_ms = int(secured.theirs[0].not_valid_after_utc.timestamp() * 1000)
        assert scanner.statuses["rig1"].trusted_until_ms == ends_ms


@in_one_loop
async def test_the_end_of_a_certificate_that_is_refused_is_known_too(secured: Secured, tmp_path: Path) -> None:
    session = secured.session(trust_folder=tmp_path)
    assert session.trusted_until_ms is None
    with pytest.raises(DeviceUnreachable):
        await session.open()
    assert session.trusted_until_ms == int(secured.theirs[0].not_valid_after_utc.timestamp() * 1000)


def test_trust_ends_with_the_certificate_or_with_the_authority_that_vouches_for_it(tmp_path: Path) -> None:
    by, long = pki.authority(), pki.own("urn:plc", HOST, days=400)
    certificate = pki.issued(by, long)
    pki.write(tmp_path, "authority", by)
    assert TrustFolder.read(tmp_path).until(certificate) == by[0].not_valid_after_utc
    assert TrustFolder.read(tmp_path).until(long[0]) == long[0].not_valid_after_utc
    pki.write(tmp_path, "plc", (certificate, long[1]))
    assert TrustFolder.read(tmp_path).until(certificate) == long[0].not_valid_after_utc


def test_check_warns_of_a_certificate_that_ends_and_of_one_that_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soon = pki.write(tmp_path, "soon", pki.own("urn:plant:soon", days=20))
    gone = pki.write(tmp_path, "gone", pki.own("urn:plant:gone", now=pki.NOW - timedelta(days=9)))
    pki.write(tmp_path / "trusted", "plc", pki.own("urn:plc"))
    head = 'policy = "Basic256Sha256", trust_folder = "trusted"'
    tables = [f'{{{head}, certificate_file = "{cert}", key_file = "{key}"}}' for cert, key in (soon, gone)]
    path = config(tmp_path, *tables)
    Path(path).write_text(Path(path).read_text().replace("10.0.0.5:4840", "10.0.0.6:4840", 1))
    assert main(["check", path]) == OK
    said = capsys.readouterr().out
    assert f"warning: certificate {soon[0]} ends in 20.0 days; renew it" in said
    assert f"warning: certificate {gone[0]} has ended; renew it" in said


def test_a_deprecated_policy_must_be_spelled_out() -> None:
    files = {"certificate_file": "c", "key_file": "k", "trust_folder": "t"}
    with pytest.raises(ValidationError, match="allow_deprecated = true"):
        OpcuaSettings.model_validate({"policy": "Basic128Rsa15", **files})
    assert OpcuaSettings.model_validate({"policy": "Basic128Rsa15", "allow_deprecated": True, **files}).secured


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"policy": "Basic256Sha256"}, "needs certificate_file, key_file, trust_folder"),
        ({"username": "reader"}, "username and password_file belong together"),
        ({"user_key_file": "k"}, "user_certificate_file and user_key_file belong together"),
        (
            {"username": "r", "password_file": "p", "user_certificate_file": "c", "user_key_file": "k"},
            "give one of them",
        ),
    ],
)
def test_half_a_setting_is_a_mistake(said: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        OpcuaSettings.model_validate(said)


def check(folder: Path, certificate: Any, uri: str = "urn:plc", host: str = HOST, **later: int) -> None:
    TrustFolder.read(folder).check(certificate, uri, host, pki.NOW + timedelta(**later))


def test_an_authority_vouches_for_the_application_and_host_it_issued_to(tmp_path: Path) -> None:
    by = pki.authority()
    pki.write(tmp_path, "authority", by)
    certificate = pki.issued(by, pki.own("urn:plc", HOST))
    check(tmp_path, certificate)
    for other in ({"uri": "urn:other"}, {"host": "10.0.0.9"}, {"days": 30}):
        with pytest.raises(Untrusted):
            check(tmp_path, certificate, **other)
    (tmp_path / "revoked.crl").write_bytes(pki.revoking(by, certificate).public_bytes(Encoding.PEM))
    with pytest.raises(Untrusted, match="was revoked"):
        check(tmp_path, certificate)


def test_a_plain_certificate_in_the_folder_vouches_for_no_other(tmp_path: Path) -> None:
    plc = pki.own("urn:plc", HOST)
    pki.write(tmp_path, "plc", plc)
    check(tmp_path, plc[0])
    with pytest.raises(Untrusted, match="is not trusted"):
        check(tmp_path, pki.issued(plc, pki.own("urn:plc", HOST)))


def test_the_files_of_a_session_are_checked_before_anything_connects(tmp_path: Path) -> None:
    certificate, key = pki.write(tmp_path, "edge", pki.own("urn:plant:edge-1"))
    old, other = pki.write(tmp_path, "old", pki.own("urn:old", now=pki.NOW - timedelta(days=9)))
    (tmp_path / "trusted").mkdir()
    said = {"policy": "Basic256Sha256", "trust_folder": tmp_path / "trusted"}
    good = OpcuaSettings.model_validate({**said, "certificate_file": certificate, "key_file": key})
    assert [line.partition(" holds")[2] for line in settings_problems(good)] == [
        " no certificate (.der, .crt, .cer, .pem), so no server is trusted; put the server's in"
    ]
    bad = OpcuaSettings.model_validate({**said, "certificate_file": old, "key_file": key})
    (problem,) = (line for line in settings_problems(bad) if "trust_folder" not in line)
    assert "is not the key of" in problem  # that it has ended is a warning: the other devices need this edge
    swapped = OpcuaSettings.model_validate({**said, "certificate_file": other, "key_file": tmp_path / "none"})
    assert [line for line in settings_problems(swapped) if line.startswith("opcua.certificate_file")]


def test_the_command_makes_a_certificate_that_checks_and_replaces_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["certificate", str(tmp_path / "tls"), "--uri", "urn:plant:edge-1", "--host", "10.0.0.7"]
    assert main(command) == OK
    said = dict(line.split(" = ") for line in capsys.readouterr().out.splitlines())
    certificate, key = (Path(said[name].strip('"')) for name in ("certificate_file", "key_file"))
    assert uris_of(certificate_in(certificate)) == ["urn:plant:edge-1"]
    assert key.stat().st_mode & 0o077 == 0
    assert main(command) == BAD_INPUT
    assert "is not replaced" in capsys.readouterr().err


CONFIG = """
node = "edge1"
broker.host = "broker.plant"
journal.path = "journal.db"
[[devices]]
name = "sphere"
profile = "lpg-sphere"
driver = "opcua"
hazard_source = "lpg-1"
address = "opc.tcp://10.0.0.5:4840"
opcua = {OPCUA}
"""


def config(folder: Path, *settings: str) -> str:
    """Write an edge's config, one device for each of the settings; return its path."""
    head, _, device = CONFIG.partition("[[devices]]")
    devices = [
        "[[devices]]" + device.replace("{OPCUA}", each).replace("sphere", f"sphere{n}", 1)
        for n, each in enumerate(settings)
    ]
    (folder / "edge.toml").write_text(head + "".join(devices))
    return str(folder / "edge.toml")


def test_a_password_in_an_address_is_refused_because_addresses_are_shown() -> None:
    """`check` printed it, and so would a log."""
    wrong = OpcuaDriver.wrong_address("opc.tcp://admin:S3cret@10.0.0.1:4840/plc")
    assert wrong is not None
    assert "opcua.username" in wrong
    assert "S3cret" not in wrong


def test_check_names_a_session_that_is_not_secured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("s3cret")
    assert main(["check", config(tmp_path, '{username = "reader", password_file = "password"}')]) == OK
    said = capsys.readouterr().out
    assert 'devices.sphere0.opcua.policy is "None"' in said
    assert "gets the password in the clear" in said
    assert "s3cret" not in said


def test_check_finds_every_mistake_in_the_files_of_a_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = 'certificate_file = "no.der", key_file = "no.key", trust_folder = "none", '
    settings = f'{{policy = "Basic256Sha256", {files}}}'.replace(", }", "}")
    assert main(["check", config(tmp_path, settings, "{}")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert f"devices.sphere0.opcua.certificate_file: {tmp_path}/no.der cannot be read" in said
    assert f"devices.sphere0.opcua.trust_folder: {tmp_path}/none cannot be read" in said
    assert "devices.sphere1.opcua: shares its server with sphere0 and must say the same" in said
