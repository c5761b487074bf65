#: - {code: invalid-value, line: 14, says: ["Team 'one'", "name no group", 'developers=["search-devs"]']}
#: - {code: invalid-value, line: 15, says: ["Team 'two'", "admins.0", "'system:masters' starts with `system:`", "Using RBAC Authorization"]}
#: - {code: invalid-value, line: 16, says: ["Team 'three'", "developers.0", "not the name of a group"]}
#: - {code: invalid-value, line: 17, says: ["Team 'four'", "the group 'devs' is named more than once"]}
#: - {code: invalid-value, line: 18, says: ["Team 'five'", "cluster is Bucket('data'), not a TrainingCluster"]}
#: - {code: invalid-value, line: 19, says: ["TrainingCluster 'other'", "viewers.1", "'system:serviceaccounts'"]}
from mlinfra import Blueprint, Bucket, Environment, Params, Team, TrainingCluster, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    data = Bucket("data")
    one = Team("one", cluster=cluster, admins=[])
    two = Team("two", cluster=cluster, admins=["system:masters"])
    three = Team("three", cluster=cluster, developers=[" "])
    four = Team("four", cluster=cluster, developers=["devs", "devs"])
    five = Team("five", cluster=data, viewers=["auditors"])
    other = TrainingCluster("other", viewers=["auditors", "system:serviceaccounts"])
    return Blueprint(one, two, three, four, five, other)
