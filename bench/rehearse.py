"""A rehearsal of a prod cluster: how long each step takes with many machines and many jobs.

.venv/bin/python bench/rehearse.py [--nodes 200] [--jobs 500]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import cores, loop, table

ROOT = Path(__file__).parents[1]
STACK = """\
blueprint: fleet
environment: {{name: prod, tier: prod}}
owner: {{team: bench, cost_center: none}}
target: {{kind: aws, account: "111122223333", region: eu-west-1, cluster: fleet}}
params: {{nodes: {nodes}, jobs: {jobs}, too_many: true}}
"""
"""One job of them asks for one GPU more than is left on a machine, so that placement fails, and says so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=500)
    options = parser.parse_args()
    mlinfra = str(ROOT / ".venv" / "bin" / "mlinfra")
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as name:
        folder = Path(name)
        (folder / "blueprints").mkdir()
        (folder / "stacks").mkdir()
        shutil.copy(ROOT / "tests" / "cases" / "rehearse" / "fleet.py", folder / "blueprints")
        (folder / "stacks" / "fleet.yaml").write_text(STACK.format(**vars(options)))
        subprocess.run([mlinfra, "setup"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        before = loop()
        ended = subprocess.run(
            [mlinfra, "rehearse", "--stack", "fleet", "--json"], cwd=folder, stdout=subprocess.PIPE, check=False
        )
        after = loop()
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    rows = [[r["step"], r["result"], f"{r['seconds']:.1f}", r["what"]] for r in records if r["type"] == "rehearsal"]
    print(f"{cores()}, Python {sys.version.split()[0]}; two million additions took {before:.2f} and {after:.2f} s\n")
    print(table(["step", "result", "s", "what"], rows))
    for record in records:
        if record["type"] == "diagnostic":
            print(f"\n{record['severity']}: {record['summary']}")
    total = [record["seconds"] for record in records if record["type"] == "message"]
    print(f"\nAll of it: {total[0] if total else '?'} s")


if __name__ == "__main__":
    main()
