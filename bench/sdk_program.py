"""The SDK's side of `scale.py`: one verb on N resources, as objects of the official classes.

    python bench/sdk_program.py FOLDER buckets|config_maps N preview|up|destroy

It uses mlinfra's local target and embedded providers, so that the registration is all that differs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import automation

from mlinfra.local.target import LocalTarget
from mlinfra.project import Project
from mlinfra.providers.aws import serve as serve_aws
from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.providers.kubernetes import serve as serve_kubernetes
from mlinfra.tools.install import ensure


def main() -> None:
    folder, kind, count, verb = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    access = LocalTarget(Project(folder.parent), "bench").up()
    with serve_aws() as aws_server, serve_kubernetes() as kubernetes_server:
        inputs = local_inputs(access.aws_endpoint, access.region)

        def program() -> None:
            provider = aws.Provider(
                "aws",
                region=access.region,
                access_key=access.access_key,
                secret_key=access.secret_key,
                endpoints=[aws.ProviderEndpointArgs(s3=inputs["endpoints"][0]["s3"])],
                s3_use_path_style=True,
            )
            cluster = kubernetes.Provider("kubernetes", kubeconfig=str(access.kubeconfig))
            for number in range(count):
                if kind == "buckets":
                    options = pulumi.ResourceOptions(provider=provider)
                    aws.s3.Bucket(f"b{number}", bucket=f"mlinfra-bench-{number}", opts=options)
                else:
                    options = pulumi.ResourceOptions(provider=cluster)
                    metadata = {"name": f"bench-{number}", "namespace": "default"}
                    kubernetes.core.v1.ConfigMap(
                        f"c{number}", metadata=metadata, data={"number": str(number)}, opts=options
                    )

        binary = ensure(["pulumi"])["pulumi"]
        os.environ["PATH"] = f"{binary.parent}:{os.environ['PATH']}"
        (folder / "state").mkdir(exist_ok=True)
        settings = automation.LocalWorkspaceOptions(
            env_vars={
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "bench",
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_PARALLEL_DIFF": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_DEBUG_PROVIDERS": f"aws:{aws_server.port},kubernetes:{kubernetes_server.port}",
                "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
            }
        )
        stack = automation.create_or_select_stack("bench", "many", program, opts=settings)
        {"preview": stack.preview, "up": stack.up, "destroy": stack.destroy}[verb]()


if __name__ == "__main__":
    main()
