#: []
from mlinfra import Blueprint, Endpoint, Environment, Image, Params, TrainingCluster, blueprint

IMAGE = Image("registry.example.com/team/serve@sha256:" + "0123456789abcdef" * 4)


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    return Blueprint(Endpoint("api", cluster=TrainingCluster("train"), image=IMAGE))
