"""The service's own secrets manager."""

from __future__ import annotations

import base64

from mlinfra.state.states import ORGANIZATION
from tests.state.conftest import STACK, Client


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_secrets_come_back(client: Client) -> None:
    one = client.call("POST", f"{STACK}/encrypt", {"plaintext": b64("hunter22")}).body["ciphertext"]
    assert b"hunter22" not in base64.b64decode(one)
    assert client.call("POST", f"{STACK}/decrypt", {"ciphertext": one}).body == {"plaintext": b64("hunter22")}
    texts = [b64(text) for text in ("", "a", "ü" * 1000)]
    many = client.call("POST", f"{STACK}/batch-encrypt", {"plaintexts": texts}).body["ciphertexts"]
    found = client.call("POST", f"{STACK}/batch-decrypt", {"ciphertexts": many}).body["plaintexts"]
    assert [found[item] for item in many] == texts


def test_a_ciphertext_of_another_stack_does_not_open(client: Client) -> None:
    client.call("POST", f"/api/stacks/{ORGANIZATION}/demo", {"stackName": "other"})
    secret = client.call("POST", f"{STACK}/encrypt", {"plaintext": b64("hunter22")}).body["ciphertext"]
    other = STACK.replace("dev", "other")
    assert client.call("POST", f"{other}/decrypt", {"ciphertext": secret}).status == 400
    assert client.call("POST", f"{other}/batch-decrypt", {"ciphertexts": [secret]}).status == 400


def test_what_is_no_base64_is_refused(client: Client) -> None:
    for call, body in (
        ("encrypt", {"plaintext": "%%"}),
        ("decrypt", {"ciphertext": "é"}),
        ("decrypt", {}),
        ("batch-encrypt", {"plaintexts": [1]}),
        ("batch-decrypt", {"ciphertexts": ["a"]}),
    ):
        assert client.call("POST", f"{STACK}/{call}", body).status == 400, call
    assert client.call("POST", f"{STACK}/decrypt/log-decryption", {}).status == 200
