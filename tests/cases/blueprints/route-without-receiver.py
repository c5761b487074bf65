#: - {code: route-without-receiver, line: 20, says: ["a route to 'nobody' tells nobody", "heard by nobody", "pagerduty:<service>"]}
#: - {code: route-without-receiver, line: 20, says: ["a route to 'pagr' has no receiver", "The receivers are nobody, pager."]}
from mlinfra import Blueprint, Environment, Params, Raw, TrainingCluster, blueprint

ALERTMANAGER = """
route:
  receiver: nobody
  routes:
  - {matchers: ['severity="critical"'], receiver: pagr}
receivers:
- {name: nobody}
- {name: pager, webhook_configs: [{url: 'https://alerts.example.com/a'}]}
"""


@blueprint("case", version="1.0.0")
def case(env: Environment, p: Params) -> Blueprint:
    cluster = TrainingCluster("train")
    metadata = {"name": "alertmanager", "namespace": cluster.namespace}
    config = Raw("config", type="kubernetes:core/v1:ConfigMap", inputs={"metadata": metadata, "data": {"a": ALERTMANAGER}})
    return Blueprint(cluster, config)
