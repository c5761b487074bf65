"""Where files are put: a folder, or a prefix in S3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Protocol

_S3: Final = "s3://"
_FILE: Final = "file://"


class Sink(Protocol):
    """A place that files are put to by name. Whatever goes wrong is an exception."""

    def write(self, name: str, body: bytes) -> None:
        """Put a file, whole, in place of one that may be there."""

    def read(self, name: str) -> bytes | None:
        """A file; None where there is none, or none that may be read."""


class Folder:
    """A folder of this machine, such as a volume."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, body: bytes) -> None:
        """As `Sink.write`."""
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_bytes(body)
        draft.replace(target)

    def read(self, name: str) -> bytes | None:
        """As `Sink.read`."""
        try:
            return (self._path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None


class S3:
    """A prefix of a bucket. Endpoint, region and credentials come from the environment, as boto3 finds them.

    boto3 is loaded here, and not when it is first needed: that may be when the process ends, and then it cannot be.
    """

    def __init__(self, uri: str) -> None:
        self._bucket, _, prefix = uri.removeprefix(_S3).partition("/")
        if not self._bucket:
            raise ValueError(f"{uri} names no bucket")
        try:
            import boto3
            from botocore.config import Config
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f"{uri} wants boto3: pip install boto3, or mlinfra-platform[serving-s3]"
            ) from None
        self._prefix = prefix.strip("/")
        # What is not written within seconds is tried again later: a log that hangs holds more and more in memory.
        config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
        self._client: Any = boto3.session.Session().client("s3", config=config)  # the default one is not for threads

    def write(self, name: str, body: bytes) -> None:
        """As `Sink.write`."""
        self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=body)

    def read(self, name: str) -> bytes | None:
        """As `Sink.read`. Without the permission to list, S3 denies access to what is not there."""
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read()
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "AccessDenied", "404", "403"):
                return None
            raise
        return body

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")


def sink_of(uri: str | Path) -> Sink:
    """The place that `s3://bucket/prefix`, `file:///folder` or a path names. Raises `ValueError` for anything else."""
    text = str(uri)
    if text.startswith(_S3):
        return S3(text)
    if "://" in text and not text.startswith(_FILE):
        raise ValueError(f"{text} is neither s3://bucket/prefix nor the path of a folder")
    return Folder(Path(text.removeprefix(_FILE)))
