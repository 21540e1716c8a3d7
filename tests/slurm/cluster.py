"""A private Slurm of a few nodes on this machine, for tests: everything lies in one folder, nothing in /etc.

No accounting: Winnow needs none. Nodes share the machine's processors and are told apart by name and port.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "sinfo", "scancel")
CONF = """
ClusterName=winnow
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
CompleteWait=0
MaxArraySize=10001
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=5 State=UP
PartitionName=high Nodes=ALL MaxTime=INFINITE PriorityTier=10 State=UP
"""


def missing() -> list[str]:
    """Programs of Slurm that are not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that nobody listens on."""
    for start in range(26800, 32000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(start, start + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return start
    raise RuntimeError("no free ports")


class Cluster:
    """A running Slurm; `stop` ends its daemons, by their own pid files only."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder, self.nodes = folder, [f"n{number}" for number in range(1, nodes + 1)]
        for name in ("state", *(f"spool/{node}" for node in self.nodes)):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        port = free_ports(nodes + 1)
        values = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "cpus": os.cpu_count()}
        ports = {"port": port, "first": port + 1, "last": port + nodes}
        (folder / "slurm.conf").write_text(CONF.format(folder=folder, nodes=nodes, **values, **ports))
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }

    def start(self) -> None:
        """Start the daemons and wait until every node is idle."""
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        names = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._daemon("munged", "--force", *(f"--{flag}={self.folder}/munge.{end}" for flag, end in names.items()))
        self._daemon("slurmctld")
        for node in self.nodes:
            self._daemon("slurmd", "-N", node)
        self.until(
            lambda: len(self("sinfo", "-N", "-h", "-t", "idle", "-p", "low", "-o", "%N").split()), len(self.nodes)
        )

    def _daemon(self, *command: str) -> None:
        with (self.folder / "daemons.log").open("a") as log:
            subprocess.run(command, env=self.environment, stdout=log, stderr=log, check=True, timeout=60)

    def __call__(self, *command: str) -> str:
        """What one of Slurm's own programs prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=30)
        return done.stdout

    @staticmethod
    def until(found: object, wanted: object = True, seconds: float = 240) -> None:
        """Wait until a question has the wanted answer."""
        assert callable(found)
        deadline = time.monotonic() + seconds
        while (answer := found()) != wanted:
            assert time.monotonic() < deadline, f"{answer!r} instead of {wanted!r} after {seconds:.0f} s"
            time.sleep(0.2)

    def tasks(self, *more: str) -> dict[str, str]:
        """Tasks that are queued or run, with their states."""
        lines = self("squeue", "-h", "-r", "-o", "%i %T", *more).splitlines()
        return dict(line.split() for line in lines)

    def clear(self) -> None:
        """End all jobs."""

        def cancelled() -> dict[str, str]:
            self("scancel", f"--user={getpass.getuser()}")  # again, as a task on its way back into the queue escapes
            return self.tasks()

        with contextlib.suppress(AssertionError):
            self.until(cancelled, {}, seconds=60)

    def stop(self) -> None:
        """End the jobs and the daemons."""
        self.clear()
        for name in [*(f"slurmd.{node}" for node in self.nodes), "slurmctld", "munge"]:
            with contextlib.suppress(OSError, ValueError):
                process = int((self.folder / f"{name}.pid").read_text())
                os.kill(process, signal.SIGTERM)
                with contextlib.suppress(AssertionError):
                    self.until(lambda process=process: Path(f"/proc/{process}").exists(), False, seconds=5)
                os.kill(process, signal.SIGKILL)  # a node that was lost waits for its task
