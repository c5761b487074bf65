"""For model servers in Python: metrics and a request log in three lines, and the profile of the data a model is from.

    from mlinfra.serving import Served

    served = Served.from_environment()
    app = served.wsgi(app)                      # or served.asgi(app)

    with served.request(inputs) as seen:        # where the server predicts
        seen.prediction = model.predict(inputs)

It stands alone: nothing else of mlinfra is loaded, and only `prometheus_client` has to be installed beside it (and
boto3 for a log in S3). In an image: `pip install --no-deps mlinfra-platform && pip install prometheus-client boto3`.
"""

from mlinfra.serving.profiles import profile, write_profile
from mlinfra.serving.request_log import RequestLog
from mlinfra.serving.served import Seen, Served

__all__ = ["RequestLog", "Seen", "Served", "profile", "write_profile"]
