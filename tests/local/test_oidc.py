"""The identity provider on its own: what it signs, what it serves, what it writes. The API server's view is in
test_cluster.py and tests/e2e/test_people.py."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mlinfra.local.oidc import AUDIENCE, DISCOVERY, KEYS, Issuer, public, sign


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "staging")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verified(token: str, jwk: dict[str, str]) -> dict[str, Any]:
    """The claims of a token that this key has signed, as a client would read it that knows the standards alone."""
    header, claims, signature = token.split(".")
    x, y = (int.from_bytes(decoded(jwk[name])) for name in "xy")
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = decoded(signature)
    assert len(raw) == 64
    halves = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key.verify(halves, f"{header}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(decoded(header)) == {"alg": "ES256", "kid": jwk["kid"], "typ": "JWT"}
    return dict(json.loads(decoded(claims)))


def read_configuration(issuer: Issuer) -> dict[str, Any]:
    (provider,) = yaml.safe_load(issuer.configuration.read_text())["jwt"]
    return dict(provider)


def fetch(provider: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the API server fetches: where the keys are, and the keys."""
    trust = ssl.create_default_context(cadata=provider["issuer"]["certificateAuthority"])
    with urllib3.PoolManager(ssl_context=trust, retries=False, timeout=5.0) as pool:
        found = pool.request("GET", provider["issuer"]["discoveryURL"]).json()
        answer = pool.request("GET", found["jwks_uri"])
        assert int(answer.headers["Cache-Control"].removeprefix("max-age=")) > 10**8
        assert pool.request("GET", found["jwks_uri"] + "/more").status == 404
        return found, answer.json()


def test_a_client_that_knows_the_standards_verifies_a_token(issuer: Issuer) -> None:
    with issuer.serving():
        token = issuer.token("ada", ["ml-leads", "cn=ops,dc=example"], seconds=60)
        provider = read_configuration(issuer)
        discovery, keys = fetch(provider)
    assert discovery["issuer"] == provider["issuer"]["url"] == issuer.url
    claims = verified(token, keys["keys"][0])
    assert claims["iss"] == issuer.url
    assert claims["aud"] == AUDIENCE
    assert provider["issuer"]["audiences"] == [AUDIENCE]
    assert claims["sub"] == "ada"
    assert claims["groups"] == ["ml-leads", "cn=ops,dc=example"]
    assert claims["exp"] - claims["iat"] == 60
    assert abs(claims["iat"] - time.time()) < 60


def test_another_key_is_another_one(issuer: Issuer) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with issuer.serving():
        with pytest.raises(InvalidSignature):
            verified(issuer.token("ada", [], seconds=60), public(key) | {"kid": "x"})
        assert verified(sign({"sub": "ada"}, key), public(key)) == {"sub": "ada"}


def test_nothing_listens_afterwards_and_the_key_stays(issuer: Issuer) -> None:
    ports, keys = set(), []
    for _ in range(2):
        with issuer.serving():
            provider = read_configuration(issuer)
            keys.append(fetch(provider)[1])
            ports.add(urlsplit(provider["issuer"]["discoveryURL"]).port)
    assert keys[0] == keys[1]
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port or 0)) != 0


def test_what_it_writes_is_for_the_owners_eyes_and_no_more_than_that(issuer: Issuer) -> None:
    with issuer.serving():
        pass
    files = sorted(path for path in issuer.configuration.parent.iterdir())
    assert [path.name for path in files] == ["authentication.yaml", "signing-key.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(issuer.configuration.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in issuer.configuration.read_text()


def test_strangers_do_not_end_it(issuer: Issuer, capfd: pytest.CaptureFixture[str]) -> None:
    with issuer.serving():
        provider = read_configuration(issuer)
        port = urlsplit(provider["issuer"]["discoveryURL"]).port
        with (
            socket.create_connection(("127.0.0.1", port)) as silent,
            socket.create_connection(("127.0.0.1", port)) as plain,
        ):
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert silent.fileno() > 0
            assert fetch(provider)[0]["jwks_uri"].endswith(KEYS)
            assert provider["issuer"]["discoveryURL"].endswith(DISCOVERY)
    assert capfd.readouterr().err == ""


def test_without_a_key_there_is_no_token(issuer: Issuer) -> None:
    with pytest.raises(FileNotFoundError):
        issuer.token("ada", [], seconds=60)
