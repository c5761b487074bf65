#: stack: {params: {base: {regoin: x, size: "3"}, local: {aws: true}, tags: {"a[0]": 1}}}
#: expect:
#: - {code: invalid-value, file: stacks/dev.yaml, line: 7, says: [base.size, integer]}
#: - {code: unknown-field, file: stacks/dev.yaml, line: 6, says: ["there is no field 'base.regoin'", "Did you mean 'region'?"]}
#: - {code: invalid-value, file: stacks/dev.yaml, line: 9, says: [local.aws, integer]}
#: - {code: invalid-value, file: stacks/dev.yaml, line: 11, says: ["tags.a[0]", Put it in quotes.]}

from mlinfra import Blueprint, Bucket, Environment, Field, NodePool, Params, Raw, TrainingCluster, TrainingJob, blueprint


class Base(Params):
    region: str = "x"
    size: int = 1


class P(Params):
    base: Base = Base()
    local: dict[str, int] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)


@blueprint("case", version="1.0.0")
def case(env: Environment, p: P) -> Blueprint:
    return Blueprint(Bucket("data"))
