"""The local target: a moto server that stands in for AWS, and a real Kubernetes control plane whose nodes KWOK plays.

    stack, declared pools → `target.LocalTarget.up` → (moto: an account each) and (kwokctl: a cluster each → nodes)

All of it runs as processes of this user, without root, listens on loopback alone, and keeps its files under the
project's `.mlinfra/local/`. `processes` makes sure that only what was started here is ever stopped.
"""
