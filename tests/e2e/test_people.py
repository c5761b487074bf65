"""People's roles, asked of the real API server with signed tokens: tests/cases/people.yaml says who may do what."""

from __future__ import annotations

import base64
import itertools
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from mlinfra.local.oidc import Issuer, public, sign
from tests.e2e.conftest import Lab, Ran

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "people.yaml").read_text())
IMAGE = "registry.example.com/team/image@sha256:" + "0123456789abcdef" * 4
BLUEPRINT = f"""
from mlinfra import Blueprint, Egress, Endpoint, Environment, NodePool, Params, Quota, Team, TrainingCluster, blueprint


@blueprint("teams", version="1.0.0")
def teams(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train", pools=[NodePool("cpu", instance_type="m6i.xlarge", max=1)], admins=["platform"])
    both = {{"cluster": cluster, "viewers": ["auditors"], "quota": Quota(cpu=2), "egress": [Egress(cidr="10.0.0.0/8")]}}
    search = Team("search", admins=["ml-leads"], developers=["search-devs"], **both)
    ads = Team("ads", admins=["ads-leads"], developers=["ads-devs"], **both)
    api = Endpoint("api", cluster=search, image="{IMAGE}", callers=[ads], called_from=["ingress-nginx"])
    return Blueprint(search, ads, api)
"""
NAMESPACES = {team: f"teams-dev-{team}" for team in CASES["groups"]}


@dataclass
class Server:
    """The API server as somebody with a token sees it, without the certificate that the kubeconfig signs in with."""

    url: str
    pool: urllib3.PoolManager
    issuer: Issuer

    def token(self, person: str) -> str:
        return self.issuer.token(person.replace(" ", "-"), CASES["people"][person], seconds=900)

    def ask(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.pool.request(method, self.url + path, json=body, headers=headers)
        return answer.status, answer.json()

    def allows(self, token: str, namespace: str, resource: str, verb: str) -> bool:
        group, name, subresource = parts(resource)
        asked = {"namespace": namespace, "group": group, "resource": name, "subresource": subresource, "verb": verb}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        status, review = self.ask(token, "POST", path, {**kind, "spec": {"resourceAttributes": asked}})
        assert status == 201, review
        return bool(review["status"]["allowed"])

    def rules(self, token: str, namespace: str) -> set[tuple[str, str, str, str, tuple[str, ...]]]:
        """API group, resource, subresource, verb, names: all that the server says of somebody in a namespace."""
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status, review = self.ask(token, "POST", path, {**kind, "spec": {"namespace": namespace}})
        assert status == 201, review
        return {
            (group, *resource.partition("/")[::2], verb, tuple(rule.get("resourceNames", ())))
            for rule in review["status"]["resourceRules"]
            for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }


def parts(resource: str) -> tuple[str, str, str]:
    """API group, resource, subresource: `apps/deployments/scale` has all of them, `pods/log` is of the core group."""
    first, _, rest = resource.partition("/")
    grouped = "." in first or first in ("apps", "batch", "autoscaling", "policy")
    name, _, subresource = (rest if grouped else resource).partition("/")
    return first if grouped else "", name, subresource


@pytest.fixture(scope="module")
def teams(lab: Lab) -> Lab:
    lab.blueprint("teams", BLUEPRINT)
    lab.stack("dev", blueprint="teams")
    lab.run("up", "--stack", "dev", "--yes")
    return lab


@pytest.fixture(scope="module")
def server(teams: Lab) -> Iterator[Server]:
    kubeconfig = Path(teams.access("dev")["KUBECONFIG"])
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
    with urllib3.PoolManager(ssl_context=trust, maxsize=16, block=True, retries=False, timeout=30.0) as pool:
        yield Server(cluster["server"], pool, Issuer(kubeconfig.parent))


def test_a_second_run_changes_nothing(teams: Lab) -> None:
    assert set(teams.report("up", "--stack", "dev", "--yes", "--refresh")["counts"]) == {"same"}


def roles(person: str, team: str) -> str:
    """The letters of the roles that somebody has in a namespace."""
    given = CASES["groups"].get(team, {})
    return "".join(given.get(group, "") for group in CASES["people"][person])


def has(person: str, team: str) -> set[tuple[str, str]]:
    """The resources and verbs that somebody has in a namespace, by the table."""
    letters = set(roles(person, team))
    table = CASES["namespaced"].items()
    return {(resource, verb) for resource, verbs in table for verb, who in verbs.items() if letters & set(who)}


def expected() -> Iterator[tuple[str, str, str, str, bool]]:
    """Person, namespace, resource, verb, and whether it is allowed.

    Every combination in the namespaces where somebody is known, and in the first where he is not.
    """
    places = [*NAMESPACES, *CASES["elsewhere"]]
    for person in CASES["people"]:
        strange = next(team for team in places if not roles(person, team))
        for team in [team for team in places if roles(person, team)] + [strange]:
            allowed = has(person, team)
            for resource, verb in itertools.product(CASES["namespaced"], CASES["verbs"]):
                yield person, NAMESPACES.get(team, team), resource, verb, (resource, verb) in allowed
    for person, resource, verb in itertools.product(CASES["people"], CASES["cluster_wide"], CASES["verbs"]):
        yield person, "", resource, verb, False


def test_nobody_has_a_rule_that_the_table_does_not_give(server: Server) -> None:
    """The server's own list of somebody's rules: it would show wildcards, impersonation and names of resources."""
    nobody = server.rules(server.token("of no group"), "default")
    for person in CASES["people"]:
        token = server.token(person)
        for team in [*NAMESPACES, *CASES["elsewhere"]]:
            given = {(*parts(resource), verb, ()) for resource, verb in has(person, team)}
            assert server.rules(token, NAMESPACES.get(team, team)) - nobody == given, (person, team)


def test_every_role_has_exactly_what_the_table_says(server: Server) -> None:
    tokens = {person: server.token(person) for person in CASES["people"]}
    cases = list(expected())
    assert sum(allowed for *_, allowed in cases) > 500
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda case: server.allows(tokens[case[0]], *case[1:4]), cases))
    wrong = [
        f"{person} {'may not' if allowed else 'may'} {verb} {resource} in {namespace or 'all'}"
        for (person, namespace, resource, verb, allowed), is_allowed in zip(cases, found, strict=True)
        if is_allowed is not allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("case", CASES["refused"])
def test_tokens_that_are_not_taken(server: Server, case: str) -> None:
    status, _ = server.ask(bad_token(server.issuer, **CASES["refused"][case]), "GET", "/api/v1/namespaces")
    assert status == 401
    good = server.token("admin of search")
    assert server.ask(good, "GET", f"/api/v1/namespaces/{NAMESPACES['search']}/pods")[0] == 200


def bad_token(
    issuer: Issuer, seconds: int = 900, groups: Any = ("ml-leads",), key: str = "", claims: Any = None
) -> str:
    changed = {name: int(time.time()) + value if name == "nbf" else value for name, value in (claims or {}).items()}
    token = issuer.token("ada", groups, seconds, **changed)
    if not key:
        return token
    header, said, _ = token.split(".")
    if key == "none":
        unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
        return f"{unsigned}.{said}."
    stranger = ec.generate_private_key(ec.SECP256R1())
    other = sign(json.loads(base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))), stranger)
    assert public(stranger)["kid"] not in base64.urlsafe_b64decode(header + "==").decode()
    # The right header before the wrong signature: it names the key that the API server knows.
    return ".".join([header, *other.split(".")[1:]]) if key == "posing" else other


def manifest(what: str, name: str) -> tuple[str, dict[str, Any]]:
    """The path after the namespace's, and an object."""
    pod = {"containers": [{"name": "main", "image": "registry.example.com/x"}], "restartPolicy": "Never"}
    rbac = "rbac.authorization.k8s.io"
    bound = [{"kind": "Group", "apiGroup": rbac, "name": "interns"}]

    def role(group: str, resource: str) -> tuple[str, dict[str, Any]]:
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": ["create", "delete", "get"]}]
        return f"/apis/{rbac}/v1", {"kind": "Role", "rules": rules}

    def binding(kind: str, role: str) -> tuple[str, dict[str, Any]]:
        given = {"roleRef": {"apiGroup": rbac, "kind": kind, "name": role}, "subjects": bound}
        return f"/apis/{rbac}/v1", {"kind": "RoleBinding", **given}

    root, body = {
        "configmap": ("/api/v1", {"kind": "ConfigMap", "data": {"config.json": "{}"}}),
        "job": ("/apis/batch/v1", {"kind": "Job", "spec": {"suspend": True, "template": {"spec": pod}}}),
        "role for pods": role("", "pods"),
        "role for network policies": role("networking.k8s.io", "networkpolicies"),
        "role for quotas": role("", "resourcequotas"),
        "binding of cluster-admin": binding("ClusterRole", "cluster-admin"),
        "binding of the developers' role": binding("Role", "mlinfra:developer"),
        "pod with a system priority": (
            "/api/v1",
            {"kind": "Pod", "spec": {**pod, "priorityClassName": "system-cluster-critical"}},
        ),
        "privileged pod": ("/api/v1", {"kind": "Pod", "spec": {**pod, "hostNetwork": True}}),
    }[what]
    return root, {**body, "apiVersion": root.removeprefix("/apis/").removeprefix("/api/"), "metadata": {"name": name}}


@pytest.mark.parametrize(
    "number", range(len(CASES["requests"])), ids=lambda number: " ".join(map(str, CASES["requests"][number].values()))
)
def test_real_requests(server: Server, number: int) -> None:
    case = CASES["requests"][number]
    token = server.token(case["who"])
    if "list" in case:
        space = f"/namespaces/{NAMESPACES[case['in']]}" if case["in"] in NAMESPACES else ""
        status, said = server.ask(token, "GET", f"/api/v1{space}/{case['list']}")
    else:
        root, body = manifest(case["make"], f"case-{number}")
        path = f"{root}/namespaces/{NAMESPACES[case['in']]}/{body['kind'].lower()}s"
        status, said = server.ask(token, "POST", path, body)
    assert status == case["status"], said


# ---------------------------------------------------------------------------------------------- the command


def kubectl(kubeconfig: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = home / "somebody.yaml"
    file.write_text(kubeconfig)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "NO_PROXY": "*"}
    command = ["kubectl", "--kubeconfig", str(file), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_makes_somebody_of_you(teams: Lab, tmp_path: Path) -> None:
    who = ("--stack", "dev", "--user", "ada@example.com", "--groups", "search-devs,extra", "--group", "cn=x,dc=y")
    kubeconfig = teams.run("local", "token", *who, "--kubeconfig").out
    answer = kubectl(kubeconfig, tmp_path, "auth", "whoami", "-o", "json")
    said = json.loads(answer.stdout)["status"]["userInfo"]
    assert said["username"] == "ada@example.com"
    assert said["groups"] == ["search-devs", "extra", "cn=x,dc=y", "system:authenticated"]
    space = ("--namespace", NAMESPACES["search"])
    assert kubectl(kubeconfig, tmp_path, "get", "pods", *space).returncode == 0
    denied = kubectl(kubeconfig, tmp_path, "get", "secrets", *space)
    assert denied.returncode == 1
    assert 'User "ada@example.com" cannot list resource "secrets"' in denied.stderr


def test_the_command_prints_a_token_alone(teams: Lab, server: Server) -> None:
    ran = teams.run("local", "token", "--stack", "dev", "--user", "ada", "--minutes", "5")
    assert ran.out.count("\n") == 1
    status, review = server.ask(
        ran.out.strip(),
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
    )
    assert (status, review["status"]["userInfo"]["username"]) == (201, "ada")
    (line,) = teams.run("local", "token", "--stack", "dev", "--user", "ada", "--json").lines("message")
    assert line["token"].count(".") == 2


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (("--user", "system:admin"), "reserved for Kubernetes"),
        (("--user", "ada", "--groups", "system:masters"), "reserved for Kubernetes"),
        (("--user", " "), "not the name of a"),
    ],
)
def test_whom_nobody_can_be(teams: Lab, who: tuple[str, ...], says: str) -> None:
    assert says in _told(teams.run("local", "token", "--stack", "dev", *who, code=1))


def test_no_token_where_nothing_runs(teams: Lab) -> None:
    teams.stack("idle", blueprint="teams")
    assert "does not run" in _told(teams.run("local", "token", "--stack", "idle", "--user", "ada", code=1))


def _told(ran: Ran) -> str:
    return " ".join((ran.out + ran.err).split())
