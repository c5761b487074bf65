"""The provider as a Pulumi plugin process: `python -m mlinfra.providers.kubernetes`."""

from mlinfra.providers.base import run_plugin
from mlinfra.providers.kubernetes import serve

if __name__ == "__main__":
    run_plugin(serve())
