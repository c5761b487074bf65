"""Where a request log is read from: S3, or a folder."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mlinfra.serving.drift.problems import DriftError

_S3 = "s3://"


class Place(ABC):
    """A prefix in S3, or a folder, that is read and never written."""

    @abstractmethod
    def names(self, folder: str) -> Iterator[str]:
        """The files of a folder, by their names within the place."""

    @abstractmethod
    def opened(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A file, to be read piece by piece. Raises `OSError` or `DriftError` where it cannot be read."""


def place_of(uri: str) -> Place:
    """The place that a URI names: `s3://bucket/prefix`, or the path of a folder."""
    return InS3(uri) if uri.startswith(_S3) else InFolder(uri)


class InS3(Place):
    """A prefix of a bucket. Endpoint, region and credentials come from the environment, as boto3 finds them."""

    def __init__(self, uri: str) -> None:
        import boto3
        from botocore.config import Config

        self._bucket, _, prefix = uri.removeprefix(_S3).partition("/")
        self._prefix = prefix.strip("/")
        retries = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
        self._client: Any = boto3.client("s3", config=retries)

    def __str__(self) -> str:
        return f"{_S3}{self._bucket}/{self._prefix}".rstrip("/")

    def names(self, folder: str) -> Iterator[str]:
        """As `Place.names`, a page at a time."""
        prefix = self._key(folder) + "/"
        with told(f"{self}/{folder} cannot be listed"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield f"{folder}/{item['Key'].removeprefix(prefix)}"

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """As `Place.opened`."""
        with told(f"{self}/{name} cannot be read"):
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]
            with contextlib.closing(body):
                yield body

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Within the block, what S3 refuses is a `DriftError`: `what`, and why."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise DriftError(f"{what}: {error}") from None


class InFolder(Place):
    """A folder of this machine, such as a volume."""

    def __init__(self, path: str) -> None:
        self._path = Path(path.removeprefix("file://"))

    def __str__(self) -> str:
        return str(self._path)

    def names(self, folder: str) -> Iterator[str]:
        """As `Place.names`."""
        found = self._path / folder
        if found.is_dir():
            yield from (f"{folder}/{file.name}" for file in sorted(found.iterdir()) if file.is_file())

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """As `Place.opened`."""
        with (self._path / name).open("rb") as file:
            yield file
