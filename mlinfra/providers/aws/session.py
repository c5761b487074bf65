"""Clients for AWS services, made when first needed, that read nothing from this machine and reach nothing but it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Set
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError

from mlinfra.providers.aws import THREADS
from mlinfra.providers.aws.configuration import Configuration
from mlinfra.providers.aws.errors import AwsError, translated

_CONFIG: Final = Config(
    proxies={},  # not None, which would mean those of the environment
    max_pool_connections=THREADS,
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 3},
    s3={"addressing_style": "path"},  # never BUCKET.HOST, which is another host
    inject_host_prefix=False,
    user_agent="mlinfra",  # botocore would put its own together for each request, 8 % of its work
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

_DATA: Final = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
"""What botocore itself knows of services, and nothing of `~/.aws/models`; read once for all sessions."""

_ENDPOINT_NAMES: Final = {"logs": ("logs", "cloudwatchlogs", "cloudwatchlog")}


T = TypeVar("T")


class LeftThisMachineError(BotoCoreError):
    """A request that was about to go elsewhere than to the configured endpoint."""

    fmt = "a request was about to leave this machine"


class Api:
    """One service in one region. Errors come out as `AwsError`."""

    def __init__(self, client: Any, endpoint: str) -> None:
        self._client, self._endpoint = client, endpoint

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call `operation` by its Python name (`create_bucket`); parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            return dict(getattr(self._client, operation)(**given))
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise translated(error, self._name(operation), self._endpoint) from None

    def find(self, operation: str, absent: Set[str], **parameters: Any) -> dict[str, Any] | None:
        """Call `operation`; None where AWS answers with one of the error codes in `absent`."""
        try:
            return self.call(operation, **parameters)
        except AwsError as error:
            if error.code in absent:
                return None
            raise

    def pages(self, operation: str, key: str, **parameters: Any) -> list[Any]:
        """Everything that a paged `operation` lists under `key`."""
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            pages = self._client.get_paginator(operation).paginate(**given)
            return [item for page in pages for item in page.get(key, ())]
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise translated(error, self._name(operation), self._endpoint) from None

    def _name(self, operation: str) -> str:
        return str(self._client.meta.method_to_api_mapping.get(operation, operation))


class Session:
    """The clients of one provider instance, by service and region. Safe for threads."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._session = _isolated_session()
        self._apis: dict[tuple[str, str], Api] = {}
        self._lock = threading.Lock()
        self._remembered: dict[str, Any] = {}
        self._remembering = threading.Lock()

    def api(self, service: str, region: str) -> Api:
        """The client for `service` (`s3`, `logs`) in `region`. Raises `AwsError` where no endpoint was given for it."""
        found = self._apis.get((service, region))
        if found is None:
            with self._lock:  # botocore's sessions do not bear two threads that make clients
                found = self._apis.get((service, region)) or self._make(service, region)
                self._apis[service, region] = found
        return found

    def remember(self, what: str, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked once in the life of this session, which is one run of the engine."""
        with self._remembering:
            if what not in self._remembered:
                self._remembered[what] = ask()
            found: T = self._remembered[what]
            return found

    def _make(self, service: str, region: str) -> Api:
        names = _ENDPOINT_NAMES.get(service, (service,))
        endpoint = next((url for name in names if (url := self.configuration.endpoints.get(name))), None)
        if endpoint is None:
            raise AwsError(
                f"calling {service}",
                "NoEndpoint",
                f"the AWS provider's endpoints do not name {service}, and it never calls a real account",
                f"Add {service} to the provider's endpoints.",
            )
        client = self._session.create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=self.configuration.access_key,
            aws_secret_access_key=self.configuration.secret_key,
            aws_session_token=self.configuration.token,
            config=_CONFIG,
        )
        host = urlsplit(endpoint).netloc

        def guard(request: Any, **_: Any) -> None:
            if urlsplit(request.url).netloc != host:
                raise LeftThisMachineError

        client.meta.events.register("before-send", guard)
        return Api(client, endpoint)


def _isolated_session() -> Any:
    """A botocore session that reads neither the environment nor `~/.aws`: every variable has its default alone."""
    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    for name in ("config_file", "credentials_file"):
        variables[name] = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars=variables)
    session.register_component("data_loader", _DATA)
    return session


def prepare() -> None:
    """Make a client of the service that nearly every stack asks, and that nobody will use: the next one is quick."""
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    _isolated_session().create_client(
        "sts", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", config=_CONFIG, **keys
    )
