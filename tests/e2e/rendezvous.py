"""A rank that finds the others by the variables that PyTorch reads, and tells what it knows of them.

The first rank keeps a store at `MASTER_ADDR:MASTER_PORT`, as PyTorch's TCPStore does; each rank writes its name into it
and waits until there are `WORLD_SIZE` of them. Run as a program, once for each rank.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import sys
import threading
import time

SECONDS = 60.0


class Store(socketserver.ThreadingTCPServer):
    """Keeps who has come; answers with all of them once they are as many as they should be."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, size: int) -> None:
        super().__init__(("127.0.0.1", port), Visitor)
        self.size, self.members = size, dict[str, str]()
        self.changed = threading.Condition()
        self.answered = 0


class Visitor(socketserver.StreamRequestHandler):
    """One rank that comes."""

    def handle(self) -> None:
        store = self.server
        assert isinstance(store, Store)
        rank, name = json.loads(self.rfile.readline())
        with store.changed:
            assert rank not in store.members, f"two ranks say that they are {rank}"
            store.members[rank] = name
            store.changed.notify_all()
            store.changed.wait_for(lambda: len(store.members) == store.size, SECONDS)
        self.wfile.write(json.dumps(store.members).encode() + b"\n")
        self.rfile.readline()  # until the other end closes
        with store.changed:
            store.answered += 1
            store.changed.notify_all()


def meet(address: str, port: int, rank: str, name: str) -> dict[str, str]:
    """Write a rank's name into the store, and wait for the others."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            link = socket.create_connection((address, port), timeout=SECONDS)
            break
        except OSError:  # the first rank may start last
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    with link, link.makefile("rw") as stream:
        stream.write(json.dumps([rank, name]) + "\n")
        stream.flush()
        return dict(json.loads(stream.readline()))


def main() -> None:
    """Take part as the rank that the environment says."""
    rank, size = os.environ["RANK"], int(os.environ["WORLD_SIZE"])
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = Store(port, size) if rank == "0" else None
    if store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
    members = meet(address, port, rank, f"{os.environ['MLINFRA_RUN']}-{rank}")
    json.dump({"rank": rank, "members": members}, sys.stdout)
    if store:
        with store.changed:
            store.changed.wait_for(lambda: store.answered == size, SECONDS)


if __name__ == "__main__":
    main()
