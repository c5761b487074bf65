from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.components.database import Database
from mlinfra.components.database_values import check_windows
from mlinfra.components.endpoint import Endpoint
from mlinfra.components.key import Key
from mlinfra.components.network import Network
from mlinfra.components.network_values import ExistingNetwork
from mlinfra.components.training_cluster import TrainingCluster
from mlinfra.functions import resolve
from mlinfra.graph import Join, Ref
from mlinfra.tiers import Tier

IMAGE = "registry.example.com/team/postgres@sha256:" + "0123456789abcdef" * 4
ON_AWS = {"subnets", "group", "parameters", "log-postgresql", "log-upgrade", "instance"}


def test_what_a_database_on_aws_comes_to(expanded: Any) -> None:
    result = expanded(lambda: Database("feature-data", parameters={"work_mem": "65536"}, tags={"project": "recs"}))
    assert result.diagnostics == ()
    assert result.names_of("feature-data") == ON_AWS
    instance = result.inputs("feature-data/instance")
    assert (instance["engine"], instance["engineVersion"], instance["dbName"]) == ("postgres", "17", "feature_data")
    assert instance["identifier"] == "sample-test-feature-data"
    assert instance["storageEncrypted"] is True
    assert instance["publiclyAccessible"] is False
    assert instance["manageMasterUserPassword"] is True
    assert "password" not in instance
    assert instance["iamDatabaseAuthenticationEnabled"] is True
    assert instance["autoMinorVersionUpgrade"] is True
    assert instance["vpcSecurityGroupIds"] == [Ref("feature-data/group")]
    assert instance["dbSubnetGroupName"] == Ref("feature-data/subnets")
    assert (instance["allocatedStorage"], instance["maxAllocatedStorage"]) == (20, 100)
    assert instance["tags"]["project"] == "recs"
    assert instance["tags"]["mlinfra:classification"] == "internal"
    subnets = result.inputs("feature-data/subnets")["subnetIds"]
    assert subnets == [Ref("network/private-1"), Ref("network/private-2")]
    assert result.inputs("feature-data/group")["vpcId"] == Ref("network/vpc")
    settings = {item["name"]: item for item in result.inputs("feature-data/parameters")["parameters"]}
    assert settings["rds.force_ssl"]["value"] == "1"
    assert settings["work_mem"] == {"name": "work_mem", "value": "65536", "applyMethod": "pending-reboot"}
    log = result.inputs("feature-data/log-postgresql")
    assert (log["name"], log["retentionInDays"]) == ("/aws/rds/instance/sample-test-feature-data/postgresql", 30)
    assert set(result.node("feature-data/instance").options.depends_on) == {
        "feature-data/log-postgresql",
        "feature-data/log-upgrade",
    }


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (Tier.DEV, ("db.t4g.micro", False, 1, False, True, None, None)),
        (Tier.STAGING, ("db.t4g.medium", False, 7, False, True, None, None)),
        (Tier.PROD, ("db.m7g.large", True, 35, True, False, "sample-test-data-final", 60)),
    ],
)
def test_tiers(expanded: Any, tier: Tier, expected: tuple[Any, ...]) -> None:
    result = expanded(lambda: Database("data"), tier=tier)
    names = (
        *("instanceClass", "multiAz", "backupRetentionPeriod", "deletionProtection", "skipFinalSnapshot"),
        *("finalSnapshotIdentifier", "monitoringInterval"),
    )
    instance = result.inputs("data/instance")
    assert tuple(instance.get(name) for name in names) == expected
    assert result.node("data/instance").options.protect is tier.protected
    assert ("monitoring-role" in result.names_of("data")) is tier.protected


def test_the_monitoring_role_is_for_rds_of_this_account(expanded: Any) -> None:
    result = expanded(lambda: Database("data"), "eks", tier=Tier.PROD)
    (trust,) = result.inputs("data/monitoring-role")["assumeRolePolicy"].value["Statement"]
    assert trust["Principal"] == {"Service": "monitoring.rds.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    for statement in result.inputs("data/monitoring-policy")["policy"].value["Statement"]:
        (resource,) = statement["Resource"]
        assert resolve(resource, {}).startswith("arn:aws:logs:eu-west-1:111122223333:log-group:RDSOSMetrics")


def test_options_win_over_tiers(expanded: Any) -> None:
    result = expanded(
        lambda: Database(
            "data",
            version="16.4",
            instance_class="db.r7g.xlarge",
            storage_gib=400,
            max_storage_gib=1000,
            standby=False,
            backup_days=14,
            deletion_protection=False,
            final_snapshot=False,
            database="other",
            insights=False,
            log_days=365,
            apply_immediately=True,
        ),
        tier=Tier.PROD,
    )
    instance = result.inputs("data/instance")
    assert (instance["engineVersion"], instance["autoMinorVersionUpgrade"]) == ("16.4", False)
    assert result.inputs("data/parameters")["family"] == "postgres16"
    assert result.inputs("data/parameters")["name"] == "sample-test-data-pg16"
    assert (instance["allocatedStorage"], instance["maxAllocatedStorage"]) == (400, 1000)
    assert (instance["multiAz"], instance["backupRetentionPeriod"]) == (False, 14)
    assert (instance["deletionProtection"], instance["skipFinalSnapshot"]) == (False, True)
    assert (instance["deleteAutomatedBackups"], instance["applyImmediately"]) == (True, True)
    assert (instance["dbName"], instance["performanceInsightsEnabled"]) == ("other", False)


def test_a_key_is_for_all_of_it(expanded: Any) -> None:
    instance = expanded(lambda: Database("data", key=Key("keys"))).inputs("data/instance")
    arn = Ref("keys/key", ("arn",))
    for name in ("kmsKeyId", "masterUserSecretKmsKeyId", "performanceInsightsKmsKeyId"):
        assert instance[name] == arn


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ({"users": "references"}, {"key-without-grants"}),
        ({"via": ["rds"]}, {"key-not-for-service"}),
        ({"via": ["rds", "secretsmanager"]}, set()),
    ],
)
def test_a_key_has_to_be_one_that_rds_can_use(expanded: Any, key: dict[str, Any], codes: set[str]) -> None:
    assert set(expanded(lambda: Database("data", key=Key("keys", **key))).codes) == codes


def reading(**more: Any) -> Any:
    cluster = TrainingCluster("team")
    data = Database("data", **more)
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=[data])


def env_of(result: Any) -> dict[str, Any]:
    (container,) = result.inputs("api/deployment")["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_a_reader_may_connect_as_reader_and_is_let_in(expanded: Any) -> None:
    result = expanded(reading, "eks")
    (statement,) = result.inputs("api/policy")["policy"].value["Statement"]
    assert statement["Action"] == ["rds-db:connect"]
    outputs = {"data/instance": {"arn": "arn:aws:rds:eu-west-1:111122223333:db:x", "resourceId": "db-ABC"}}
    assert resolve(statement["Resource"], outputs) == ["arn:aws:rds-db:eu-west-1:111122223333:dbuser:db-ABC/reader"]
    rule = result.inputs("api/to-data")
    assert rule["securityGroupId"] == Ref("data/group")
    assert rule["referencedSecurityGroupId"] == Ref("@cluster", ("vpcConfig", "clusterSecurityGroupId"))
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)
    found = env_of(result)
    assert found["DATA_HOST"] == Ref("data/instance", ("address",))
    assert (found["DATA_PORT"], found["DATA_NAME"]) == ("5432", "data")
    assert (found["DATA_READER"], found["DATA_WRITER"]) == ("reader", "writer")
    assert "DATA_PASSWORD" not in found


def test_without_a_reference_nobody_is_let_in(expanded: Any) -> None:
    result = expanded(lambda: [Database("data"), Endpoint("api", cluster=TrainingCluster("team"))], "eks")
    assert not [node for node in result.graph if "IngressRule" in node.type and "data" in str(node.inputs)]
    assert "policy" not in result.names_of("api")


def test_a_writer_may_connect_as_writer(expanded: Any) -> None:
    def declare() -> Any:
        data = Database("data", writer="loader")
        return Endpoint("api", cluster=TrainingCluster("team"), writes=[data])

    result = expanded(declare)
    (statement,) = result.inputs("api/policy")["policy"].value["Statement"]
    assert statement["Resource"][0].arguments[-1] == "loader"
    assert "api/to-data-1" in result.graph.nodes, "without an EKS cluster the private subnets are let in"


# -------------------------------------------------------------------------------------------- in the cluster


def small(**more: Any) -> Any:
    cluster = TrainingCluster("team")
    data = Database("data", place="cluster", cluster=cluster, image=IMAGE, **more)
    return Endpoint("api", cluster=cluster, image=IMAGE, reads=[data])


@pytest.mark.parametrize("target", ["local", "eks", "kubeconfig"])
def test_what_a_database_in_the_cluster_comes_to(expanded: Any, target: str) -> None:
    result = expanded(lambda: small(storage_class="fast", parameters={"work_mem": "8MB"}), target)
    assert result.diagnostics == ()
    names = {"password", "secret", "closed", "instance", "service"}
    assert result.names_of("data") == names | ({"volume"} if target == "local" else set())
    assert "network" not in result.graph.nodes
    spec = result.inputs("data/instance")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["spec"]["storageClassName"] == ("" if target == "local" else "fast")
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["args"] == ["-c", "work_mem=8MB"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(f"{name}Probe" in container for name in ("startup", "readiness", "liveness"))
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env["POSTGRES_PASSWORD_FILE"] == "/run/secrets/postgres/password"
    assert "POSTGRES_PASSWORD" not in env
    assert result.inputs("data/secret")["stringData"] == {"password": Ref("data/password", ("output", "value"))}
    assert result.inputs("data/service")["spec"]["clusterIP"] == "None"


def test_in_the_cluster_only_who_refers_to_it_gets_in(expanded: Any) -> None:
    result = expanded(small)
    closed = result.inputs("data/closed")["spec"]
    assert closed == {
        "podSelector": {"matchLabels": {"mlinfra.dev/component": "data"}},
        "policyTypes": ["Ingress"],
    }
    opened = result.inputs("api/to-data")["spec"]
    assert opened["podSelector"] == closed["podSelector"]
    (rule,) = opened["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"] == {"matchLabels": {"mlinfra.dev/component": "api"}}
    assert rule["ports"] == [{"port": 5432, "protocol": "TCP"}]
    assert "policy" not in result.names_of("api")
    found = env_of(result)
    name = Ref("data/secret", ("metadata", "name"))
    assert found["DATA_PASSWORD"] == {"secretKeyRef": {"name": name, "key": "password"}}
    assert found["DATA_USER"] == "dbadmin"
    assert found["DATA_HOST"] == Join(("data", ".", Ref("team/namespace", ("metadata", "name")), ".svc"))


@pytest.mark.parametrize(("tier", "kept"), [(Tier.DEV, "Delete"), (Tier.PROD, "Retain")])
def test_what_becomes_of_its_volume(expanded: Any, tier: Tier, kept: str) -> None:
    spec = expanded(small, tier=tier).inputs("data/instance")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": kept, "whenScaled": "Retain"}


def test_without_aws_it_runs_in_the_cluster(expanded: Any) -> None:
    def declare() -> Any:
        cluster = TrainingCluster("team")
        return Database("data", cluster=cluster, image=IMAGE)

    assert "instance" in expanded(declare, "kubeconfig").names_of("data")
    assert expanded(declare, "kubeconfig").node("data/instance").type == "kubernetes:apps/v1:StatefulSet"
    assert expanded(declare, "local").node("data/instance").type == "aws:rds/instance:Instance"


# -------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"storage_gib": 10}, "greater than or equal to 20"),
        ({"storage_gib": 100, "max_storage_gib": 105}, "less than a tenth above storage_gib"),
        ({"instance_class": "m5.large"}, "instance_class"),
        ({"version": "9.6"}, "version"),
        ({"version": "17.6.1"}, "version"),
        ({"backup_days": 36}, "less than or equal to 35"),
        ({"backup_window": "2am"}, "backup_window"),
        ({"backup_window": "02:00-02:20"}, "shorter than 30 minutes"),
        ({"backup_window": "03:00-04:00"}, "overlap"),
        ({"maintenance_window": "sun:01:30-sun:02:30"}, "overlap"),
        ({"username": "rdsadmin"}, "is reserved"),
        ({"username": "admin"}, "is reserved"),
        ({"username": "reader"}, "must have three names"),
        ({"database": "Data"}, "database"),
        ({"log_days": 31}, "log_days"),
        ({"password": "hunter2"}, "there is no field 'password'"),
        ({"parameters": {"work mem": "1"}}, "parameters"),
        ({"parameters": {"port": "5433"}}, "'port' is not for you to set"),
        ({"tags": {"mlinfra:x": "y"}}, "reserved"),
    ],
)
def test_mistakes(expanded: Any, fields: dict[str, Any], says: str) -> None:
    diagnostics = expanded(lambda: Database("data", **fields)).diagnostics
    assert any(says in item.summary for item in diagnostics), [item.summary for item in diagnostics]


def existing(count: int) -> ExistingNetwork:
    ids = [f"subnet-0123456789abcdef{number}" for number in range(count)]
    return ExistingNetwork(vpc_id="vpc-0123456789abcdef0", cidr="10.0.0.0/16", private_subnet_ids=ids)


@pytest.mark.parametrize(
    ("declare", "target", "code"),
    [
        (lambda: Database("data", network=None), "local", "database-without-network"),
        (lambda: Database("data", network=Network("net", zones=1)), "local", "database-zones"),
        (lambda: Database("data", network=Network("net", existing=existing(1))), "local", "database-zones"),
        (lambda: Database("data", place="cluster"), "local", "database-cluster"),
        (lambda: Database("data"), "kubeconfig", "database-cluster"),
        (lambda: Database("data", place="aws"), "kubeconfig", "target-without-aws"),
        (lambda: Database("data", place="cluster"), "aws-only", "target-without-kubernetes"),
    ],
)
def test_what_cannot_be(expanded: Any, declare: Any, target: str, code: str) -> None:
    result = expanded(declare, target)
    assert code in result.codes
    assert result.names_of("data") == set()


def test_an_existing_network(expanded: Any) -> None:
    result = expanded(lambda: Database("data", network=Network("net", existing=existing(2))))
    assert result.diagnostics == ()
    assert len(result.inputs("data/subnets")["subnetIds"]) == 2


def test_a_database_of_another_cluster_cannot_be_read(expanded: Any) -> None:
    def declare() -> Any:
        data = Database("data", place="cluster", cluster=TrainingCluster("one"), image=IMAGE)
        return Endpoint("api", cluster=TrainingCluster("two"), image=IMAGE, reads=[data])

    result = expanded(declare)
    assert result.codes == ["database-other-cluster"]
    assert not [name for name in env_of(result) if name.startswith("DATA_")]


def test_names_fit_rds(expanded: Any) -> None:
    names = {
        expanded(lambda name=name: Database(name)).inputs(f"{name}/instance")["identifier"]
        for name in ("a-b", "a--b", "a---b")
    }
    assert len(names) == 3
    assert not any("--" in name or name.endswith("-") for name in names)


CLOCK = st.builds(lambda minute: f"{minute // 60:02}:{minute % 60:02}", st.integers(0, 1439))
DAY = st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])


@given(CLOCK, st.integers(30, 600), DAY, CLOCK, st.integers(30, 600))
def test_windows_overlap_when_a_minute_is_in_both(begin: str, length: int, day: str, start: str, lasts: int) -> None:
    def later(clock: str, minutes: int) -> tuple[int, str]:
        total = int(clock[:2]) * 60 + int(clock[3:]) + minutes
        return total // 1440, f"{total % 1440 // 60:02}:{total % 60:02}"

    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    over, end = later(start, lasts)
    maintenance = f"{day}:{start}-{days[(days.index(day) + over) % 7]}:{end}"
    backup = f"{begin}-{later(begin, length)[1]}"
    both = {later(begin, passed)[1] for passed in range(length)} & {later(start, passed)[1] for passed in range(lasts)}
    refused = ""
    try:
        check_windows(backup, maintenance)
    except ValueError as error:
        refused = str(error)
    assert ("overlap" in refused) == bool(both)
