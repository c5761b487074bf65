"""`python -m mlinfra.serving.drift [CONFIG]`: compare once, tell, push, and train anew if asked.

The result is one line of JSON on stdout. Exit codes: 0, it was compared, whatever came of it; 1, it could not be
compared, pushed or trained anew; 2, the settings are wrong.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mlinfra.serving.drift.problems import DriftError

_CONFIG: Final = "/etc/mlinfra/config.json"


def main(arguments: Sequence[str]) -> int:
    """Run once; returns the exit code."""
    from mlinfra.serving.drift.comparison import compare
    from mlinfra.serving.drift.settings import Settings

    file = Path(arguments[0] if arguments else os.environ.get("MLINFRA_CONFIG", _CONFIG))
    try:
        settings = Settings.read(file, os.environ)
    except DriftError as error:
        return _failed(error, 2)
    now = datetime.now(UTC)
    try:
        result = compare(settings, now)
        drifted = result.drifted(settings.threshold)
        _say({**result.as_json(values=settings.tell_values), "drifted": drifted, "threshold": settings.threshold})
        if settings.pushgateway:
            from mlinfra.serving.drift.gauges import push

            push(result, settings.pushgateway, settings.monitor, settings.component)
        if settings.retrain and drifted:
            from mlinfra.serving.drift.retraining import Api, retrain

            made = retrain(Api.of_pod(), settings.retrain, settings.monitor, drifted, now)
            _say({"retrain": made} if made else {"retrain": None, "reason": "there is a run of these days already"})
    except DriftError as error:
        return _failed(error, 1)
    except ModuleNotFoundError as error:
        return _failed(DriftError(f"{error.name} is missing: install the extra `drift`"), 1)
    return 0


def _say(line: object) -> None:
    sys.stdout.write(f"{json.dumps(line, ensure_ascii=False)}\n")
    sys.stdout.flush()


def _failed(error: DriftError, code: int) -> int:
    sys.stderr.write(f"drift: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
