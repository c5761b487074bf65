"""The programs that mlinfra stands on, and how each is come by: `pulumi`, `etcd`, the Kubernetes control plane, KWOK.

`table` says which, at what versions, from where. `find` looks for one that is there already, `download` fetches the
official release, `build` compiles it from its pinned module, `debian` takes it out of a package, and `install.ensure`
goes through these in that order. Nothing beyond the standard library is imported here.
"""
