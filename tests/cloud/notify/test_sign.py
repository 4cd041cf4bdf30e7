"""Signatures, against a second implementation and against the vectors of the specification."""

import base64
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.notify.sign import ed25519_signer, hmac_signer
from davylamp_wire.config import ConfigError, parse
from support.receiver import KEY, SECRET

BODY = '{"test": 2432232314}'


def test_hmac_matches_the_vector_of_the_specification_s_own_library() -> None:
    """Source: standardwebhooks, libraries' test suites: secret, id, timestamp and body give this signature."""
    signer = hmac_signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "vector")
    signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("form", ["pem", "whsk-seed", "whsk-libsodium"])
def test_an_ed25519_key_is_read_in_each_form_and_verifies(tmp_path: Path, form: str) -> None:
    seed, public = KEY.private_bytes_raw(), KEY.public_key().public_bytes_raw()
    content = {
        "pem": KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "whsk-seed": b"whsk_" + base64.b64encode(seed) + b"\n",
        "whsk-libsodium": b"whsk_" + base64.b64encode(seed + public),
    }[form]
    path = tmp_path / "key"
    path.write_bytes(content)
    signer = ed25519_signer(path)
    version, signature = signer.sign("cl2-7", 1614265330, BODY).split(",")
    assert version == "v1a"
    assert signer.public_key == "whpk_" + base64.b64encode(public).decode()
    verifier = Ed25519PublicKey.from_public_bytes(public)
    verifier.verify(base64.b64decode(signature), f"cl2-7.1614265330.{BODY}".encode())
    with pytest.raises(InvalidSignature):
        verifier.verify(base64.b64decode(signature), f"cl2-8.1614265330.{BODY}".encode())


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_???", "geheim-und-lang-genug-fuer-alle"])
def test_a_weak_or_broken_secret_is_named_by_its_file_and_never_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hmac_signer(secret, "secrets/park")
    assert "secrets/park" in str(caught.value)
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret == "whsec_"


def test_a_file_that_is_no_ed25519_key_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = rsa.generate_private_key(65537, 2048)
    for content in (b"nonsense", b"whsk_AAAA", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="openssl genpkey"):
            ed25519_signer(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        ed25519_signer(tmp_path / "missing")


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://regulator.example/x", "https"),
        ("ftp://regulator.example/x", "https"),
        ("file:///etc/passwd", "https"),
        ("https://", "https"),
        ("https://user:geheim@regulator.example/x", "user name"),
        ("https://regulator.example:port/x", "not a URL"),
    ],
)
def test_an_address_that_may_not_be_used_is_refused_without_repeating_it(url: str, wrong: str) -> None:
    table = {"name": "park", "url": url, "secret_env": "X"}
    with pytest.raises(ConfigError, match=wrong) as caught:
        parse(ReceiverConfig, table, "cloud.toml")
    assert "geheim" not in str(caught.value)


def test_http_is_allowed_on_purpose_only() -> None:
    table = {"name": "park", "url": "http://127.0.0.1:9000/x", "secret_env": "X", "insecure_http": True}
    assert parse(ReceiverConfig, table, "cloud.toml").insecure_http


def test_the_shared_secret_of_the_tests_is_a_sound_one() -> None:
    assert hmac_signer(SECRET, "tests").sign("a", 1, "").startswith("v1,")
