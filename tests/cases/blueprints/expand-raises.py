#: - {code: blueprint-error, line: 11, says: [expanding blueprint case, "RuntimeError: not today"]}

import mlinfra


class Own(mlinfra.Component):
    """A kind of the project's own."""

    def expand(self, scope):
        """Fails."""
        raise RuntimeError("not today")


from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class P(Params):
    pass


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Own("own"))
