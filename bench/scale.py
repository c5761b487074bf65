"""N buckets and N ConfigMaps: mlinfra, the Pulumi SDK's resource classes, and Terraform, side by side.

    .venv/bin/python bench/scale.py 100 300 1000

The resources are those of one component, as in a platform team's library. The SDK's side runs the same resources
against the same local target through the same embedded providers, so that what differs is how they are registered.
Terraform's side is `terraform_data`, which has no cloud behind it at all.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import median, table, timed

HERE = Path(__file__).parent
BLUEPRINT = """
from mlinfra import Blueprint, Component, Environment, Params, blueprint


class Count(Params):
    buckets: int = 0
    config_maps: int = 0


class Many(Component):
    buckets: int
    config_maps: int

    def expand(self, scope):
        for i in range(self.buckets):
            scope.aws(f"b{i}", "aws:s3/bucket:Bucket", {"bucket": f"mlinfra-bench-{i}"})
        for i in range(self.config_maps):
            body = {"data": {"number": str(i)}}
            scope.kubernetes(f"c{i}", "v1", "ConfigMap", f"bench-{i}", body, namespace="default")


@blueprint("many", version="1.0.0")
def many(env: Environment, p: Count) -> Blueprint:
    return Blueprint(Many("many", buckets=p.buckets, config_maps=p.config_maps))
"""
STACK = """
blueprint: many
environment: {{name: bench, tier: dev}}
owner: {{team: bench, cost_center: none}}
params: {{{params}}}
"""
STEPS = ("preview", "up", "no-op preview", "no-op up", "destroy")
Steps = dict[str, Callable[[], float]]


def project(folder: Path, params: str, more: str = "") -> None:
    """A project with one stack, `bench`, of N resources; `more` is what its file says beside its parameters."""
    (folder / "blueprints").mkdir(parents=True)
    (folder / "stacks").mkdir()
    (folder / "blueprints" / "many.py").write_text(BLUEPRINT)
    (folder / "stacks" / "bench.yaml").write_text(STACK.format(params=params) + more)


def mlinfra_steps(folder: Path, params: str) -> Steps:
    """The command line, as a user runs it; the local target runs already."""
    project(folder, params)
    timed([sys.executable, "-m", "mlinfra", "local", "up", "--stack", "bench"], folder)

    def step(*arguments: str) -> Callable[[], float]:
        return lambda: timed([sys.executable, "-m", "mlinfra", *arguments, "--stack", "bench"], folder).seconds

    return {
        "preview": step("preview"),
        "up": step("up", "--yes"),
        "no-op preview": step("preview"),
        "no-op up": step("up", "--yes"),
        "destroy": step("destroy", "--yes"),
    }


def sdk_steps(folder: Path, kind: str, count: int) -> Steps:
    """The same resources as objects of the SDK's classes, through the Automation API."""
    folder.mkdir(parents=True)

    def step(verb: str) -> Callable[[], float]:
        return lambda: (
            timed([sys.executable, str(HERE / "sdk_program.py"), str(folder), kind, str(count), verb], folder).seconds
        )

    return {
        "preview": step("preview"),
        "up": step("up"),
        "no-op preview": step("preview"),
        "no-op up": step("up"),
        "destroy": step("destroy"),
    }


def terraform_steps(folder: Path, count: int) -> Steps:
    """`terraform_data`, N times."""
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(
        f'resource "terraform_data" "b" {{\n  count = {count}\n  input = "b${{count.index}}"\n}}\n'
    )
    subprocess.run(["terraform", "init", "-no-color"], cwd=folder, check=True, capture_output=True)

    def step(*arguments: str) -> Callable[[], float]:
        return lambda: timed(["terraform", *arguments, "-no-color"], folder).seconds

    return {
        "preview": step("plan"),
        "up": step("apply", "-auto-approve"),
        "no-op preview": step("plan"),
        "no-op up": step("apply", "-auto-approve"),
        "destroy": step("destroy", "-auto-approve"),
    }


def measure(steps: Steps, runs: int) -> list[str]:
    """The median of each step, over `runs` rounds of all of them."""
    found: dict[str, list[float]] = {name: [] for name in STEPS}
    for _ in range(runs):
        for name in STEPS:
            found[name].append(steps[name]())
    return [median(found[name]) for name in STEPS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--runs", type=int, default=1, help="rounds of each side")
    parser.add_argument(
        "--sdk-most", type=int, default=1000, help="largest N for the SDK's side, which grows quadratically"
    )
    parser.add_argument("--kinds", nargs="*", default=["buckets", "config_maps"], choices=["buckets", "config_maps"])
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        base = Path(name)
        for kind in options.kinds:
            for count in options.counts:
                folder = base / f"{kind}-{count}"
                steps = mlinfra_steps(folder, f"{kind}: {count}")
                rows.append([f"{count} {kind}", "mlinfra", *measure(steps, options.runs)])
                print(rows[-1], file=sys.stderr, flush=True)
                timed([sys.executable, "-m", "mlinfra", "local", "down"], folder)
                if count <= options.sdk_most:
                    rows.append(
                        [
                            f"{count} {kind}",
                            "Pulumi SDK",
                            *measure(sdk_steps(folder / "sdk", kind, count), options.runs),
                        ]
                    )
                    print(rows[-1], file=sys.stderr, flush=True)
        for count in options.counts if shutil.which("terraform") else ():
            steps = terraform_steps(base / f"terraform-{count}", count)
            rows.append([f"{count} terraform_data", "Terraform", *measure(steps, options.runs)])
            print(rows[-1], file=sys.stderr, flush=True)
    print(table(["what", "by", *STEPS], rows))


if __name__ == "__main__":
    main()
