#: - {code: blueprint-signature, line: 8, says: ["name 'Parameters' is not defined"]}

from __future__ import annotations

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Parameters) -> Blueprint:
    return Blueprint(Bucket("data"))
