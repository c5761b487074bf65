"""The log of an `Endpoint`'s requests: its place in a bucket, and the permission to write there alone."""

from typing import TYPE_CHECKING, Final

from mlinfra.components.bucket_part import BucketPart
from mlinfra.graph import Value, join

if TYPE_CHECKING:
    from mlinfra.components.endpoint import Endpoint

LOG_VARIABLE: Final = "REQUEST_LOG_URI"
"""The environment variable with the folder of all logs; a program adds its component's name."""


class RequestLog(BucketPart):
    """The part of a bucket that one endpoint's requests are logged to; no component of the blueprint."""

    def variables(self) -> dict[str, Value]:
        """The folder of all endpoints' logs, `s3://bucket/requests`."""
        folder, _, _ = (self.prefix or "").rpartition("/")
        return {LOG_VARIABLE: join(self.bucket.uri, f"/{folder}")}

    def __repr__(self) -> str:
        """As the bucket: that is what a blueprint knows."""
        return repr(self.bucket)


def request_log(endpoint: "Endpoint") -> RequestLog | None:
    """Where an endpoint's requests are logged; None where they are not."""
    if endpoint.log_requests is None:
        return None
    prefix = f"{endpoint.log_prefix}/{endpoint.identity}"
    return RequestLog.model_construct(name=endpoint.log_requests.name, bucket=endpoint.log_requests, prefix=prefix)
