#: stack: {tier: prod}
#: expect:
#: - {code: endpoint-unwatched, line: 12, says: ["no Monitoring watches endpoint 'api', and this is prod", "nobody is told", "Monitoring(\"watch\", cluster=train, watches=[api], route=…)", "endpoint_unwatched"]}
from mlinfra import Blueprint, Endpoint, Environment, Monitoring, Params, Route, TrainingCluster, blueprint


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    route = Route(critical="email:a@example.com", warning="email:a@example.com")
    seen = Endpoint("seen", cluster=cluster)
    api = Endpoint("api", cluster=cluster)
    known = Endpoint("known", cluster=cluster, waive={"endpoint_unwatched": "The platform's own Prometheus has it."})
    watch = Monitoring("watch", cluster=cluster, watches=[seen], route=route, alertmanager="alerts.svc:9093")
    return Blueprint(watch, api, known)
