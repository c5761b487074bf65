"""The provider as a Pulumi plugin process: `python -m mlinfra.providers.aws` prints its port and serves."""

from mlinfra.providers.aws import serve
from mlinfra.providers.base import run_plugin

if __name__ == "__main__":
    run_plugin(serve())
