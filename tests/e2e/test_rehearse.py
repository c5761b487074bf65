"""`mlinfra rehearse`, as a user runs it: what is well, what is wrong and named, what is left, what Ctrl-C leaves."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlinfra.local.accounts import SECRET_KEY, access_key
from mlinfra.processes import started_from
from tests.e2e.conftest import ROOT, Lab, Ran, interrupt

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STEPS = ["local target", "up", "placement", "second run", "drift", "destroy", "leak scan"]
AWS = {"kind": "aws", "account": "111122223333", "region": "eu-west-1", "cluster": "fleet"}


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Lab:
    """A prod stack for a real account, whose state is far away: a rehearsal needs neither."""
    shutil.copy(ROOT / "tests" / "cases" / "rehearse" / "fleet.py", lab.root / "blueprints")
    stack(lab, nodes=40, jobs=6)
    return lab


def stack(lab: Lab, **params: Any) -> None:
    lab.stack(
        "fleet",
        blueprint="fleet",
        environment={"name": "prod", "tier": "prod"},
        target=AWS,
        state={"backend": "s3://a-bucket-that-nobody-has"},
        params=params,
    )


def rows(ran: Ran) -> dict[str, dict[str, Any]]:
    found = ran.lines("rehearsal")
    assert [row["step"] for row in found] == STEPS, ran.out + ran.err
    return {row["step"]: row for row in found}


def room(lab: Lab, name: str = "fleet") -> Path:
    return lab.root / ".mlinfra" / "rehearse" / name


def follow(lab: Lab, at: str, what: Callable[[subprocess.Popen[str]], None], *arguments: str) -> Ran:
    """Run a rehearsal, and do something when a step of it begins."""
    process = lab.start("rehearse", "--stack", "fleet", "--json", *arguments)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        record = json.loads(line)
        if record["type"] == "stage" and record["name"] == at:
            what(process)
    assert process.stderr is not None
    return Ran(process.wait(timeout=60), "".join(lines), process.stderr.read())


def test_from_nothing_to_nothing(fleet: Lab) -> None:
    ran = fleet.run("rehearse", "--stack", "fleet", "--json")
    found = rows(ran)
    assert {row["result"] for row in found.values()} == {"ok"}, ran.out
    assert [line["name"] for line in ran.lines("stage")] == STEPS  # each is announced when it begins
    placement = found["placement"]
    assert [job["pools"] for job in placement["jobs"]] == [
        {"cpu": 1}, {"cpu": 4}, {"gpu": 1}, {"gpus": 1}, {"gpus": 2}, {"big": 2},
    ]  # fmt: skip
    assert [(item["kind"], item["pools"]) for item in placement["workloads"]] == [("Deployment", {"serving": 2})]
    assert found["second run"]["what"] == "no changes"
    assert [change["node"].partition("/")[0] for change in found["drift"]["changes"]] == ["data", "train"]
    assert not room(fleet).exists()
    assert not (fleet.root / ".mlinfra" / "state").exists()  # the stack's own state was never opened


def test_what_is_wrong_is_named_and_what_is_planted_is_found(fleet: Lab) -> None:
    """A job of one GPU too many, one of a pod too many, and what the controllers of a cluster would have left."""
    stack(fleet, nodes=40, jobs=3, too_many=True, too_wide=True)
    planted: dict[str, str] = {}
    ran = follow(fleet, "second run", lambda _: planted.update(plant(room(fleet))))
    stack(fleet, nodes=40, jobs=6)
    assert ran.code == 1
    found = rows(ran)
    assert {step: row["result"] for step, row in found.items() if row["result"] != "ok"} == {
        "placement": "failed",
        "leak scan": "failed",
    }
    told = {item["component"]: item for item in found["placement"]["problems"]}
    assert set(told) == {"too-many", "too-wide"}
    assert told["too-many"]["summary"] == (
        "job too-many finds no place: asks for 4 GPUs, the 2 machines of pool serving have no more than 3 left on one"
    )
    assert "Insufficient nvidia.com/gpu" in told["too-many"]["detail"]  # the scheduler's own word
    assert told["too-many"]["location"]["file"] == "blueprints/fleet.py"
    assert told["too-wide"]["summary"] == (
        "job too-wide finds no place: 1 of its 3 pods: asks for 8 GPUs, the 2 machines of pool big have none left"
    )
    left = {leak["type"]: leak for leak in found["leak scan"]["leaks"]}
    assert set(left) == {"elbv2 LoadBalancer", "ec2 Volume"}
    assert left["elbv2 LoadBalancer"]["arn"] == planted["balancer"]
    assert left["elbv2 LoadBalancer"]["owner"] == "cluster fleet: a controller in it made it for Service ml/api"
    assert left["ec2 Volume"]["id"] == planted["volume"]
    assert left["ec2 Volume"]["owner"] == "cluster fleet: a controller in it made it"
    assert not room(fleet).exists()


def plant(folder: Path) -> dict[str, str]:
    """A load balancer and a volume, as controllers of a cluster make and tag them."""
    server = json.loads((folder / "local" / "moto" / "server.json").read_text())
    accounts = json.loads((folder / "local" / "accounts.json").read_text())
    [account] = accounts.values()

    def client(service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=f"http://127.0.0.1:{server['port']}",
            region_name=AWS["region"],
            aws_access_key_id=access_key(account),
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}),
        )

    owned = [{"Key": "kubernetes.io/cluster/fleet", "Value": "owned"}]
    ec2 = client("ec2")
    subnets = [item["SubnetId"] for item in ec2.describe_subnets()["Subnets"]][:2]
    service = {"Key": "kubernetes.io/service-name", "Value": "ml/api"}
    made = client("elbv2").create_load_balancer(Name="k8s-api", Subnets=subnets, Tags=[*owned, service])
    volume = ec2.create_volume(
        AvailabilityZone=f"{AWS['region']}a", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": owned}]
    )
    return {"balancer": made["LoadBalancers"][0]["LoadBalancerArn"], "volume": volume["VolumeId"]}


@pytest.mark.parametrize("at", ["up", "placement"])
def test_an_interrupt_leaves_nothing(fleet: Lab, at: str) -> None:
    ran = follow(fleet, at, lambda process: interrupt(process, 1))
    assert ran.code == 1
    found = rows(ran)
    assert found[at]["result"] == "interrupted"
    assert {found[step]["result"] for step in STEPS[STEPS.index(at) + 1 :]} == {"skipped"}
    assert not room(fleet).exists()
    assert started_from(room(fleet) / "local") == []


def test_what_is_kept_is_said_and_the_next_rehearsal_removes_it(fleet: Lab) -> None:
    ran = fleet.run("rehearse", "--stack", "fleet", "--keep", "--json")
    [told] = [line for line in ran.lines("message") if "kept" in line]
    assert told["kept"] == str(room(fleet) / "environment")
    [status] = [line for line in fleet.run("local", "status", "--json").lines("local") if "rehearsal" in line["name"]]
    assert (status["cluster"], status["moto_running"]) == ("running", True)
    nodes = subprocess.run(
        ["sh", "-c", f". {told['kept']} && kubectl get nodes -o name"], capture_output=True, text=True, check=True
    )
    assert nodes.stdout == ""  # destroyed, the machines too
    fleet.run("local", "down")
    [status] = [line for line in fleet.run("local", "status", "--json").lines("local") if "rehearsal" in line["name"]]
    assert (status["cluster"], status["moto_running"]) == ("stopped", False)
    ran = follow(fleet, "up", lambda process: interrupt(process, 1))
    assert not room(fleet).exists()


def test_one_rehearsal_of_a_stack_at_a_time(fleet: Lab) -> None:
    told: list[Ran] = []

    def again(process: subprocess.Popen[str]) -> None:
        told.append(fleet.run("rehearse", "--stack", "fleet", code=1))
        interrupt(process, 1)

    follow(fleet, "local target", again)
    assert "a rehearsal of fleet is going on" in told[0].err


def test_a_stack_that_is_not_valid_begins_nothing(fleet: Lab) -> None:
    stack(fleet, nodes="many")
    ran = fleet.run("rehearse", "--stack", "fleet", code=1)
    stack(fleet, nodes=40, jobs=6)
    assert "nodes" in ran.err
    assert not room(fleet).exists()


def test_controllers_that_are_not_here_are_played(lab: Lab) -> None:
    """Kueue and KubeRay: their objects are held against schemas, their part is played, and it is said."""
    shutil.copy(ROOT / "tests" / "cases" / "rehearse" / "queued.py", lab.root / "blueprints")
    lab.stack("queued", blueprint="queued", params={"poor": True})
    found = rows(lab.run("rehearse", "--stack", "queued", "--json", code=1))
    assert {step for step, row in found.items() if row["result"] != "ok"} == {"placement"}
    assert "admission simulated for 4" in found["placement"]["what"]
    jobs = {job["name"]: job for job in found["placement"]["jobs"]}
    assert jobs["plain"]["pools"] == {"cpu": 1}
    assert jobs["ranks"]["pools"] == {"gpu": 4}
    assert jobs["tune"]["pools"] == {"cpu": 2, "gpu": 2}  # the head and what hands the command to it; two workers
    assert jobs["tune"]["admission_simulated"].endswith("and KubeRay")
    assert all("Kueue (queue " in job["admission_simulated"] for job in jobs.values())
    assert list(jobs["lost"]["reasons"].values()) == [
        "waits in queue nowhere, and namespace queued-queued-train has no such LocalQueue"
    ]


def test_rollouts_are_placed_by_a_controller_that_is_played(lab: Lab) -> None:
    """The pods of all rollouts stand beside each other, and a job beside them; what is played is gone afterwards."""
    shutil.copy(ROOT / "tests" / "cases" / "rehearse" / "steered.py", lab.root / "blueprints")
    lab.stack("steered", blueprint="steered", params={"replicas": 2})
    found = rows(lab.run("rehearse", "--stack", "steered", "--json"))
    assert {row["result"] for row in found.values()} == {"ok"}
    assert found["placement"]["what"].endswith("all placed; controller simulated for 2")
    workloads = {entry["name"]: entry for entry in found["placement"]["workloads"] if entry["kind"] == "Rollout"}
    assert {name: (entry["pods"], entry["pools"]) for name, entry in workloads.items()} == {
        "slow": (2, {"cpu": 2}),
        "fast": (2, {"cpu": 2}),
    }
    assert {entry["controller_simulated"] for entry in workloads.values()} == {"Argo Rollouts"}
    lab.stack("steered", blueprint="steered", params={"replicas": 3})
    found = rows(lab.run("rehearse", "--stack", "steered", "--json", code=1))
    assert {step for step, row in found.items() if row["result"] != "ok"} == {"placement"}
    # There is room for the pods of both, and then for none of the job.
    assert found["placement"]["what"].startswith("without a machine: fit; of ")


def test_a_stack_with_what_it_imports(lab: Lab) -> None:
    """The library's application stack, on the platform stack that it imports its network from."""
    ran = lab.end(lab.start("rehearse", "--stack", "features-prod", "--json"), timeout=550)
    found = rows(ran)
    assert {row["result"] for row in found.values()} == {"ok"}, ran.out
    assert "of platform-prod" in found["up"]["what"]
    assert "2 clusters" in found["leak scan"]["what"]


@pytest.mark.timeout(3600)
def test_two_hundred_machines_and_five_hundred_jobs(fleet: Lab) -> None:
    stack(fleet, nodes=200, jobs=500, too_many=True)
    ran = fleet.end(fleet.start("rehearse", "--stack", "fleet", "--json"), timeout=3000)
    found = rows(ran)
    assert {step for step, row in found.items() if row["result"] != "ok"} == {"placement"}, ran.out[-4000:]
    assert "200 nodes" in found["local target"]["what"]
    jobs = {job["name"]: job for job in found["placement"]["jobs"]}
    assert len(jobs) == 501
    assert [name for name, job in jobs.items() if not job["placed"]] == ["too-many"]
    shapes = [("cpu", 1), ("cpu", 4), ("gpu", 1), ("gpus", 1), ("gpus", 2), ("big", 2)]
    for index in range(500):
        pool, pods = shapes[index % len(shapes)]
        assert jobs[f"job-{index:03}"]["pools"] == {pool: pods}
    [problem] = found["placement"]["problems"]
    assert problem["summary"] == (
        "job too-many finds no place: asks for 4 GPUs, the 10 machines of pool serving have no more than 3 left on one"
    )
