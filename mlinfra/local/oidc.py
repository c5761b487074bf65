"""People's tokens for a local cluster: an identity provider as OpenID Connect has it, as small as one can be.

The API server verifies a token by the provider's public key, which it fetches over HTTPS from where its configuration
says: the address of the key when it starts, the key itself with the first token. Both it keeps for as long as it runs
(go-oidc, `remoteKeySet`; Kubernetes, "Authenticating", "OpenID Connect Tokens"). So the provider is served by the
process that starts the API server, while it starts, and by nobody afterwards: there is nothing to look after, and
nothing listens.

The private key is the cluster's own and goes with it. Who can read it can be anybody in the cluster, as who can read
its kubeconfig, which lies beside it, can.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import http
import http.server
import ipaddress
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mlinfra.local.records import write_bytes

AUDIENCE: Final = "mlinfra-local"
"""For whom tokens are: the API servers of local clusters."""
HOST: Final = "127.0.0.1"
DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"
_ALGORITHM: Final = "ES256"
_SIZE: Final = 32  # bytes of a coordinate, and of each half of a signature, on the curve P-256
_REMEMBERED: Final = 10 * 365 * 86_400
"""Seconds that the API server may keep the key: with a token of another key it asks nobody."""
_PATIENCE: Final = 5.0


class Issuer:
    """The provider of one cluster, whose folder is `home`; the folder's name is the cluster's."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "oidc"
        self.url = f"https://oidc.mlinfra.invalid/{home.name}"
        """What stands in tokens; it names the provider and leads nowhere (RFC 2606)."""

    @property
    def configuration(self) -> Path:
        """The file that the API server reads: `--authentication-config`."""
        return self._folder / "authentication.yaml"

    # ------------------------------------------------------------------------------------------------ tokens

    def token(self, user: str, groups: Sequence[str], seconds: int, **claims: Any) -> str:
        """A signed token that says who somebody is, good for so many seconds; `claims` replace what it says.

        Raises `FileNotFoundError` where the cluster has no key: it was made before there were tokens.
        """
        now = int(time.time())
        says = {"iss": self.url, "aud": AUDIENCE, "sub": user, "groups": list(groups), "iat": now, "exp": now + seconds}
        return sign({**says, **claims}, self._read_key())

    def takes(self, server: str, token: str) -> bool:
        """Whether the cluster's API server knows whose a token is. Raises `urllib3.exceptions.HTTPError`."""
        # Without the certificate that the kubeconfig signs in with, which would come first.
        trust = ssl.create_default_context(cafile=self._home / "pki" / "ca.crt")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with urllib3.PoolManager(ssl_context=trust, retries=False, timeout=_PATIENCE) as pool:
            answer = pool.request(
                "POST",
                f"{server}/apis/authentication.k8s.io/v1/selfsubjectreviews",
                json=review,
                headers={"Authorization": f"Bearer {token}"},
            )
        return answer.status == http.HTTPStatus.CREATED

    # ------------------------------------------------------------------------------------------------ serving

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve what the API server asks for while it starts, and write its configuration, which says where."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self._make_key()
        certificate, context = self._certificate()
        with _Server(context) as server:
            place = f"https://{HOST}:{server.server_address[1]}"
            server.documents = {DISCOVERY: self._discovery(place), KEYS: {"keys": [public(key)]}}
            write_bytes(self.configuration, self._authentication(place, certificate).encode())
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def _discovery(self, place: str) -> dict[str, Any]:
        """Source: OpenID Connect Discovery 1.0, "OpenID Provider Metadata"."""
        return {
            "issuer": self.url,
            "jwks_uri": place + KEYS,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def _authentication(self, place: str, certificate: str) -> str:
        """Names are taken as they are, but for Kubernetes' own, which no token gives.

        Source: Kubernetes, "Authenticating", "Using Authentication Configuration".
        """
        refused = [
            ("user.username != ''", "a token has to say who somebody is"),
            ("!user.username.startsWith('system:')", "user names of Kubernetes' own are not for people"),
            ("user.groups.all(group, !group.startsWith('system:'))", "groups of Kubernetes' own are not for people"),
        ]
        provider = {
            "issuer": {
                "url": self.url,
                "discoveryURL": place + DISCOVERY,
                "certificateAuthority": certificate,
                "audiences": [AUDIENCE],
            },
            "claimMappings": {
                "username": {"claim": "sub", "prefix": ""},
                "groups": {"claim": "groups", "prefix": ""},
            },
            "userValidationRules": [{"expression": rule, "message": message} for rule, message in refused],
        }
        kind = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
        return yaml.safe_dump({**kind, "jwt": [provider]}, sort_keys=False)

    # ------------------------------------------------------------------------------------------------ keys

    @property
    def _key_file(self) -> Path:
        return self._folder / "signing-key.pem"

    def _make_key(self) -> ec.EllipticCurvePrivateKey:
        """The cluster's key, made when it is first wanted."""
        if not self._key_file.exists():
            write_bytes(self._key_file, _pem(ec.generate_private_key(ec.SECP256R1())))
        return self._read_key()

    def _read_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def _certificate(self) -> tuple[str, ssl.SSLContext]:
        """A certificate for one start of the API server, which is told to trust no other; and how to serve with it."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mlinfra local OpenID Connect")])
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(name)
            .subject_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = self._folder / f"certificate-{os.getpid()}.pem"  # contexts take files alone
        try:
            write_bytes(file, _pem(key) + certificate)
            context.load_cert_chain(file)
        finally:
            file.unlink(missing_ok=True)
        return certificate.decode(), context


def sign(claims: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """Claims as a signed token (RFC 7519; RFC 7518, section 3.4: the halves of the signature one after the other)."""
    header = {"alg": _ALGORITHM, "kid": public(key)["kid"], "typ": "JWT"}
    body = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    halves = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{body}.{_base64(b''.join(half.to_bytes(_SIZE) for half in halves))}"


def public(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """The public half of a key as a JSON Web Key (RFC 7517; RFC 7518, section 6.2.1)."""
    numbers = key.public_key().public_numbers()
    x, y = (coordinate.to_bytes(_SIZE) for coordinate in (numbers.x, numbers.y))
    name = hashlib.sha256(x + y).hexdigest()[:16]
    used = {"kid": name, "use": "sig", "alg": _ALGORITHM}
    return {"kty": "EC", "crv": "P-256", "x": _base64(x), "y": _base64(y), **used}


class _Server(http.server.ThreadingHTTPServer):
    """A few JSON documents over TLS, on a free port."""

    daemon_threads = True
    documents: Mapping[str, Any] = {}

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__((HOST, 0), _Handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the request's own thread, so that nobody waits for a stranger who never finishes his greeting."""
        assert isinstance(request, socket.socket)
        request.settimeout(_PATIENCE)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or speaks no TLS, is its own affair."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with a document."""
        found = self.server.documents.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(http.HTTPStatus.OK if found else http.HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", f"max-age={_REMEMBERED}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 — the base class' name
        """Nothing: requests are told of by the API server."""


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
