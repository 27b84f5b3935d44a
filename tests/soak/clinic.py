"""One run with everything that belongs to it: server, store, owners, and a bad line to each of the two."""

from __future__ import annotations

import json
import socket
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from keras_split.crypto import Link
from soak.plan import Plan
from soak.ward import Patient, Ward
from support import bodies
from support.proxy import Proxy
from support.run import RunFiles

# Far longer than any recovery: an owner that is passed over trains later than in a run without faults.
_PATIENCE_SECONDS = 600.0


class Clinic:
    """Starts a run.

    Args:
        plan: What it trains.
        folder: For all of it.
        ward: Its processes.
        variables: Of the server's environment.
    """

    def __init__(self, plan: Plan, folder: Path, ward: Ward, variables: dict[str, str] | None = None):
        self.plan = plan
        self.ward = ward
        self.files = RunFiles(folder, list(plan.shards))
        self._folder = folder
        ports = {name: free_port() for name in ("server", "store")}
        self.lines = {name: Proxy(f"127.0.0.1:{port}") for name, port in ports.items()}
        self._start_server(ports["server"], variables or {})
        self._start_store(ports["store"])
        for name in plan.shards:
            self._start_owner(name)

    @property
    def owners(self) -> list[Patient]:
        return [self.ward.patients[name] for name in self.plan.shards]

    @property
    def run_folder(self) -> Path:
        return self._folder / "checkpoints" / self.files.run

    def commits(self) -> set[str]:
        """Names of the newest commits on the server's disk."""
        return {each.name for each in (self.run_folder / "commits").glob("*.state")}

    def unfinished(self) -> list[str]:
        """Owners that have steps left, by the links on the server's disk."""
        trained: Counter[str] = Counter()
        version = 0
        for path in sorted((self.run_folder / "links").glob("*.link")):
            header = Link.read(path.read_bytes()).header
            trained[header.sender] += header.version - version
            version = header.version
        return [name for name, steps in self.plan.steps().items() if trained[name] < steps]

    def start_judge(self) -> Patient:
        """Says whether both halves are what one machine would have; its end is the run's."""
        name = next(iter(self.plan.shards))
        given = {**self._connection(name), "run_folder": str(self.run_folder), "plan": asdict(self.plan)}
        self._admit("judge", "soak.judge", json.dumps(given))
        return self.ward.patients["judge"]

    def close(self) -> None:
        self.ward.discharge()
        for line in self.lines.values():
            line.close()

    def __enter__(self) -> Clinic:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _admit(self, name: str, module: str, *given: str, **variables: str) -> None:
        self.ward.admit(Patient(name, ["-m", module, *given], self._folder / f"{name}.log", variables))

    def _start_server(self, port: int, variables: dict[str, str]) -> None:
        options = ["--steps-per-turn", self.plan.length, "--commit-every", str(self.plan.commit_every)]
        options += ["--lease-seconds", str(_PATIENCE_SECONDS), "--absence-seconds", str(_PATIENCE_SECONDS)]
        arguments = server_arguments(self.files, self._folder, port, *options)
        self._admit("server", "keras_split", *arguments, **variables)

    def _start_store(self, port: int) -> None:
        arguments = ["store", "--listen", f"127.0.0.1:{port}", "--folder", str(self._folder / "blobs")]
        arguments += ["--certificates", str(self.files.pki / "store")]
        self._admit("store", "keras_split", *arguments)

    def _start_owner(self, name: str) -> None:
        given: dict[str, object] = {"rows": self.plan.shards[name], "epochs": self.plan.epochs}
        given["reconnect_seconds"] = _PATIENCE_SECONDS
        self._admit(name, "support.member", json.dumps({**self._connection(name), **given}))

    def _connection(self, name: str) -> dict[str, object]:
        return {
            "address": self.lines["server"].address,
            "certificates": str(self.files.pki / name),
            "identity": str(self.files.key(name)),
            "roster": str(self.files.roster),
            "handover": f"store://{self.lines['store'].address}",
        }


def server_arguments(files: RunFiles, folder: Path, port: int, *options: str) -> list[str]:
    """Of `keras-split`, for a run's server on a port."""
    arguments = ["serve", "support.bodies:small", "--cut", bodies.CUT, "--port", str(port)]
    arguments += ["--certificates", str(files.pki / "server"), "--seed", str(bodies.SEED)]
    arguments += ["--checkpoint-dir", str(folder / "checkpoints"), "--roster", str(files.roster)]
    return [*arguments, *options]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
