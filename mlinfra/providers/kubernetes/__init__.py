"""The embedded Kubernetes provider: Pulumi's ResourceProvider protocol on server-side apply, for any kind.

From the top down, each module using those below it:

======================================== =============================================================
`provider`                               the protocol; `serve`
`checking`, `diffing`, `applying`,       what each method does, on plain values
`reading`, `deleting`
`awaiting`                               waiting for one object, with progress and an end
`session`, `ownership`, `drift`          an instance's cluster; whose an object is; what has changed
`readiness`, `pods`, `waitfor`           when an object is ready, and why it is not
`rules`, `scope`, `secrets`, `objects`   what is known of kinds; the shapes of inputs and state
`watch`                                  one list and watch for all who wait
`client`, `discovery`                    a cluster: `Cluster`, useful by itself
`transport`, `kubeconfig`, `credentials` HTTP and signing in
`errors`                                 refusals as diagnostics
======================================== =============================================================
"""
