"""Provider instances are nodes: a cluster known only once something else is made takes resources in the same up."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BLUEPRINT = '''
from pathlib import Path

from mlinfra import Blueprint, Environment, Params, Raw, Secret, blueprint


class Values(Params):
    kubeconfig: str


@blueprint("nested", version="1.0.0")
def nested(env: Environment, p: Values) -> Blueprint:
    """The kubeconfig is an output of a parameter that the same update makes, as an EKS cluster's is of the cluster."""
    access = Raw(
        "access",
        type="aws:ssm/parameter:Parameter",
        inputs={"name": "/access", "type": "SecureString", "value": Secret(Path(p.kubeconfig).read_text())},
    )
    inside = Raw(
        "inside",
        type="kubernetes:core/v1:ConfigMap",
        inputs={"metadata": {"name": "inside", "namespace": "default"}, "data": {"made": "inside"}},
        provider={"kubeconfig": access.output("value")},
    )
    return Blueprint(inside, outputs={"name": inside.output("metadata", "name")})
'''


def test_resources_in_a_cluster_that_the_same_update_makes(lab: Lab) -> None:
    lab.stack("dev", blueprint="recommender")
    lab.blueprint("nested", BLUEPRINT)
    lab.stack("other", blueprint="nested", params={"kubeconfig": "/nowhere"})
    lab.stack("nested", blueprint="nested", params={"kubeconfig": "/nowhere"})
    lab.blueprint(
        "empty",
        "from mlinfra import Blueprint, Environment, Params, blueprint\n\n\n"
        "@blueprint('empty', version='1.0.0')\n"
        "def empty(env: Environment, p: Params) -> Blueprint:\n    return Blueprint()\n",
    )
    lab.stack("other", blueprint="empty")
    lab.run("local", "up", "--stack", "other")
    kubeconfig = lab.access("other")["KUBECONFIG"]
    lab.stack("nested", blueprint="nested", params={"kubeconfig": kubeconfig})

    plan = lab.report("preview", "--stack", "nested")
    assert plan["counts"] == {"create": 2}
    made = lab.report("up", "--stack", "nested", "--yes")
    assert made["counts"] == {"create": 2}
    found = lab.kubectl("other", "get", "configmap", "inside", "--namespace", "default")
    assert found["data"] == {"made": "inside"}
    assert lab.report("up", "--stack", "nested", "--yes")["counts"] == {"same": 2}
    lab.report("destroy", "--stack", "nested", "--yes")
    assert "inside" not in {
        item["metadata"]["name"] for item in lab.kubectl("other", "get", "configmaps", "--all-namespaces")["items"]
    }
