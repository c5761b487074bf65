"""A rehearsal's cluster, asked with patience: hundreds of pods at once keep a small machine's API server busy."""

from __future__ import annotations

import time
from typing import Any, Final

from mlinfra.providers.kubernetes.client import Cluster
from mlinfra.providers.kubernetes.errors import UnreachableError

_SECONDS: Final = 90.0
_PAUSE: Final = 1.0


class PatientCluster(Cluster):
    """A cluster whose API server may fail to answer for a while: it runs on this machine, and comes back.

    A request that was not answered is sent again, so what makes something has to bear that it is there already.
    """

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Any:
        """One request of any sort: the JSON answer."""
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                return super().request(method, path, body, content_type=content_type)
            except UnreachableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
