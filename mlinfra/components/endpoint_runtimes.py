"""Programs that serve models of a kind without an image of one's own: what is known of each, as a table.

Sources: MLflow, "Deploy MLflow Model as a Local Inference Server"; Triton Inference Server, "Model Repository",
"Metrics" and `tritonserver --help`; TensorFlow Serving, "RESTful API" and "Monitoring"; vLLM, "OpenAI-Compatible
Server" and "Production Metrics".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

RuntimeName: TypeAlias = Literal["custom", "mlflow", "triton", "tensorflow-serving", "vllm"]


@dataclass(frozen=True, slots=True)
class Meters:
    """How well a runtime serves, by its own metrics, as PromQL; `$me` stands for the labels of one endpoint's series.

    `requests` and `failed` are rates, `slow` is the 95th percentile of response times in seconds. `metrics` are the
    names that stand in them.
    """

    requests: str
    failed: str
    slow: str
    metrics: tuple[str, ...]

    def requests_of(self, me: str, window: str = "5m") -> str:
        """The rate of requests, taken over a window."""
        return self.requests.replace("$me", me).replace("[5m]", f"[{window}]")

    def failed_of(self, me: str, window: str = "5m") -> str:
        """The rate of answers with an error, taken over a window."""
        return self.failed.replace("$me", me).replace("[5m]", f"[{window}]")

    def slow_of(self, me: str) -> str:
        """The 95th percentile of response times."""
        return self.slow.replace("$me", me)


CONTRACT: Final = Meters(
    requests="sum(rate(http_requests_total{$me}[5m]))",
    failed='sum(rate(http_requests_total{$me,status=~"5.."}[5m]))',
    slow="histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{$me}[5m])))",
    metrics=("http_requests_total", "http_request_duration_seconds_bucket"),
)
"""The metrics that `mlinfra.serving` gives; vLLM happens to have the same."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime. In texts `{name}` stands for the endpoint's name, `{folder}` for the model's folder, `{port}` and
    `{metrics_port}` for ports, and `{gpus}` for the number of GPUs, until `of` has put them in.
    """

    live: str
    """Path that answers 200 as long as it need not be started anew."""

    ready: str
    """Path that answers 200 when it can serve."""

    image: str | None = None
    """The project's image; None: each endpoint has its own."""

    command: tuple[str, ...] = ()
    """What is run instead of the image's own command; empty: that one."""

    folder: str = "{name}"
    """Where the model is copied to, within the folder of models; where it is, if it is a version, is the runtime's."""

    env: Mapping[str, str] = field(default_factory=dict)
    """What its environment has to say."""

    predict: str = ""
    """Path that predictions are asked of."""

    warm_up: str = ""
    """The body of a first request that every model of the runtime answers; empty: there is none."""

    metrics: str = ""
    """Path of Prometheus metrics; empty: it has none."""

    metrics_port: int | None = None
    """The port of its metrics, where that is one of their own."""

    meters: Meters | None = None
    """What its metrics say of how well it serves."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Files that it is told of, by name; they are in the folder `FILES`."""

    min_gpus: int = 0
    """Fewest GPUs that it runs with."""

    shares_memory: bool = False
    """Whether its processes speak to each other through shared memory."""

    def of(self, name: str, port: int, gpus: int) -> Runtime:
        """The runtime of an endpoint of this name."""
        folder = self.folder.format(name=name)
        known = {"name": name, "port": port, "gpus": gpus, "metrics_port": self.metrics_port or port}

        def filled(text: str) -> str:
            return text.format(folder=f"{MODELS}/{folder}", **known)

        return replace(
            self,
            live=filled(self.live),
            ready=filled(self.ready),
            command=tuple(filled(word) for word in self.command),
            folder=folder,
            predict=filled(self.predict),
            warm_up=filled(self.warm_up),
        )


MODELS: Final = "/models"
"""Where a runtime finds what was copied for it."""

FILES: Final = "/etc/mlinfra/serve"
"""Where pods have the files of a runtime, and of what works beside it."""

_HOME: Final = {"HOME": "/tmp", "USER": "serve"}  # noqa: S108 — the container's own; its user has no entry in the image
_MONITORING: Final = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'

RUNTIMES: Final[Mapping[RuntimeName, Runtime]] = {
    "mlflow": Runtime(
        image="ghcr.io/mlflow/mlflow:v3.4.0",
        # `local`: with the packages of the image. Other managers install the model's own from the internet, every time.
        command=(
            *("mlflow", "models", "serve", "--model-uri", "{folder}", "--env-manager", "local"),
            *("--host", "0.0.0.0", "--port", "{port}"),  # noqa: S104 — of a pod
        ),
        env=_HOME,
        live="/ping",
        ready="/ping",
        predict="/invocations",
    ),
    "triton": Runtime(
        image="nvcr.io/nvidia/tritonserver:25.06-py3",
        command=(
            *("tritonserver", "--model-repository=/models", "--http-port={port}", "--allow-grpc=false"),
            *("--metrics-port={metrics_port}", "--metrics-config=summary_latencies=true"),
        ),
        env=_HOME,
        live="/v2/health/live",
        ready="/v2/health/ready",
        predict="/v2/models/{name}/infer",
        metrics="/metrics",
        metrics_port=8002,
        meters=Meters(
            requests="(sum(rate(nv_inference_request_success{$me}[5m])) + "
            "sum(rate(nv_inference_request_failure{$me}[5m])))",
            failed="sum(rate(nv_inference_request_failure{$me}[5m]))",
            slow='max(nv_inference_request_summary_us{$me,quantile="0.95"}) / 1e6',
            metrics=("nv_inference_request_success", "nv_inference_request_failure", "nv_inference_request_summary_us"),
        ),
        shares_memory=True,
    ),
    "tensorflow-serving": Runtime(
        image="docker.io/tensorflow/serving:2.19.1",
        command=(
            *("tensorflow_model_server", "--rest_api_port={port}", "--port=0"),
            *("--model_name={name}", "--model_base_path=/models/{name}"),
            f"--monitoring_config_file={FILES}/monitoring.config",
        ),
        # Models lie in folders whose names are numbers, and the highest is served.
        folder="{name}/1",
        env=_HOME,
        live="/v1/models/{name}",
        ready="/v1/models/{name}",
        predict="/v1/models/{name}:predict",
        metrics="/monitoring/prometheus/metrics",
        meters=Meters(
            requests="sum(rate(:tensorflow:serving:request_count{$me}[5m]))",
            failed='sum(rate(:tensorflow:serving:request_count{$me,status!="OK"}[5m]))',
            slow="histogram_quantile(0.95, sum by (le) "
            "(rate(:tensorflow:serving:request_latency_bucket{$me}[5m]))) / 1e6",
            metrics=(":tensorflow:serving:request_count", ":tensorflow:serving:request_latency_bucket"),
        ),
        files={"monitoring.config": _MONITORING},
    ),
    "vllm": Runtime(
        # v0.11.0
        image="docker.io/vllm/vllm-openai@sha256:014a95f21c9edf6abe0aea6b07353f96baa4ec291c427bb1176dc7c93a85845c",
        command=(
            *("vllm", "serve", "{folder}", "--served-model-name", "{name}", "--host", "0.0.0.0"),  # noqa: S104 — of a pod
            *("--port", "{port}", "--tensor-parallel-size", "{gpus}"),
        ),
        env={**_HOME, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        live="/health",
        ready="/health",
        predict="/v1/completions",
        warm_up='{{"model": "{name}", "prompt": "a", "max_tokens": 1}}',
        metrics="/metrics",
        meters=CONTRACT,
        min_gpus=1,
        shares_memory=True,
    ),
}
"""The runtimes beside `custom`, which is an image of one's own. TorchServe is none of them: its project has ended, and
Triton serves PyTorch models, too."""
