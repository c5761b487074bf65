#: - {code: component-duplicate, line: 10, says: ["the name 'search' is used by two components", "The first is at blueprints/case.py:9"]}
from mlinfra import Blueprint, Environment, Params, Team, TrainingCluster, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    other = TrainingCluster("other")
    one = Team("search", cluster=cluster, admins=["ml-leads"])
    two = Team("search", cluster=other, admins=["ml-leads"])
    return Blueprint(one, two)
