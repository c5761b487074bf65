#: - {code: alert-without-route, line: 18, says: ["alert ModelOdd has the severity 'info', and no route is for that", "critical and warning"]}
from mlinfra import Blueprint, Environment, Monitoring, Params, Route, TrainingCluster, blueprint
from mlinfra.components.signals import Signal, Watched


class Model(Watched):
    def signals(self):
        return (Signal("Odd", "info", "vector(1)", 1, "It is odd"),)

    def expand(self, scope):
        """It comes to nothing."""


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    route = Route(critical="webhook:https://alerts.example.com/a", warning="webhook:https://alerts.example.com/a")
    model = Model("model")
    watch = Monitoring("watch", cluster=cluster, watches=[model], route=route, alertmanager="alerts.example.com:9093")
    return Blueprint(watch)
