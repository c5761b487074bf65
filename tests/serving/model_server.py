"""A small model server: `python model_server.py wsgiref|werkzeug|uvicorn`. It prints its port, then serves.

The model says yes to everybody from 18 on. `POST /predict` takes features, `POST /label` what was true of an earlier
request, `POST /boom` fails, `GET /stream` predicts while it answers, `POST /terminated` ends the process by SIGTERM in
the middle of an answer.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from typing import Any

from mlinfra.serving import Served

served = Served.from_environment(unlogged=["email"], flush_seconds=3600)


def predict(features: dict[str, Any]) -> str:
    with served.request(features) as seen:
        seen.prediction = "yes" if features["age"] >= 18 else "no"
    return seen.prediction


def answer(path: str, body: bytes) -> tuple[int, Any]:
    if path == "/predict":
        return 200, {"prediction": predict(json.loads(body))}
    if path == "/label":
        label = json.loads(body)
        return 200, {"known": served.labelled(label["request_id"], label["truth"])}
    if path == "/boom":
        predict({"age": None})
    if path == "/terminated":
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)
    return 404, {"error": "no such path"}


@served.wsgi
def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (predict({"age": age}).encode() for age in (17, 18))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, found = answer(environ["PATH_INFO"], body)
    start_response(f"{status} OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


@served.asgi
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only HTTP is served")  # as applications without a lifespan say
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-type", b"application/json")]
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for age in (17, 18):
            await send({"type": "http.response.body", "body": predict({"age": age}).encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    status, found = answer(scope["path"], body)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})


def main(kind: str) -> None:
    if kind == "wsgiref":
        from wsgiref.simple_server import make_server

        with make_server("127.0.0.1", 0, wsgi) as server:
            print(server.server_port, flush=True)
            server.serve_forever(0.05)
    elif kind == "werkzeug":
        from werkzeug.serving import make_server as make

        threaded = make("127.0.0.1", 0, wsgi, threaded=True)
        print(threaded.server_port, flush=True)
        threaded.serve_forever(0.05)
    else:
        import uvicorn

        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            config = uvicorn.Config(asgi, log_level="warning", timeout_graceful_shutdown=5)
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
