"""The embedded AWS provider: pulumi_aws's resource types on botocore, against an AWS emulator on this machine.

It takes the official plugin's place on the local target, in this process: no download, no process of its own. It
refuses every endpoint that is not on this machine, so it can never reach a real account.

A resource type is a class or a row in `types/`; the frame around it is `resource` (what a type says), `fields` and
`shapes` (inputs as data), `comparing` and `planning` (differences), `provider` (the protocol), `session` (botocore,
known here alone) and `errors`.
"""

from mlinfra.providers.aws.configuration import local_inputs
from mlinfra.providers.aws.provider import AwsProvider, serve
from mlinfra.providers.aws.registry import TYPES

__all__ = ["TYPES", "AwsProvider", "local_inputs", "serve"]
