from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.diagnostics import MlinfraError
from mlinfra.providers.base import text
from mlinfra.providers.kubernetes.credentials import Credentials


def plugin(script: str, **options: Any) -> dict[str, Any]:
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", script]}
    return {"exec": {**login, **options}}


def answer(ends: str = "") -> str:
    """A plugin that counts its runs in a file and gives the count as a token."""
    status = {"expirationTimestamp": ends} if ends else {}
    return f"""
import json, os, pathlib
path = pathlib.Path(os.environ["COUNT"])
runs = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(runs))
assert json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"] == "ExecCredential"
print(json.dumps({{"status": {{**{status!r}, "token": f"token-{{runs}}"}}}}))
"""


def test_password(tmp_path: Path) -> None:
    headers = Credentials({"username": "a", "password": "b"}, tmp_path).headers()
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"a:b"


def test_a_plugin_is_asked_once_and_again_when_its_token_is_refused(tmp_path: Path) -> None:
    env = [{"name": "COUNT", "value": str(tmp_path / "count")}]
    user = Credentials(plugin(answer(), env=env), tmp_path)
    assert [user.headers()["Authorization"] for _ in range(2)] == ["Bearer token-1"] * 2
    assert user.forget()
    assert user.headers() == {"Authorization": "Bearer token-2"}


def test_a_plugin_is_asked_again_before_its_token_ends(tmp_path: Path) -> None:
    env = [{"name": "COUNT", "value": str(tmp_path / "count")}]
    user = Credentials(plugin(answer("2020-01-01T00:00:00Z"), env=env), tmp_path)
    assert user.headers() != user.headers()


def test_a_plain_token_has_nothing_to_try_again_with(tmp_path: Path) -> None:
    user = Credentials({"token": "t"}, tmp_path)
    assert not user.forget()
    assert user.headers() == {"Authorization": "Bearer t"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a plugin that is not there": ({"exec": {"command": "/not/there"}}, "No such file"),
    "a plugin that fails": (plugin("import sys; sys.exit('please sign in')"), "please sign in"),
    "a plugin that says nothing": (plugin("print()"), "did not print an ExecCredential"),
    "a plugin without a token": (plugin(f"print({json.dumps(json.dumps({'status': {}}))})"), "did not print"),
    "a file that is not there": ({"tokenFile": "/not/there"}, "the token file /not/there cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_no_token(case: str, tmp_path: Path) -> None:
    user, words = WRONG[case]
    with pytest.raises(MlinfraError) as error:
        Credentials(user, tmp_path).headers()
    assert words in text(error.value)
