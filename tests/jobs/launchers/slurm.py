"""A private Slurm on this machine: munged, slurmctld and slurmd on loopback, in a folder that is removed again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

START_SECONDS = 30
CPUS = 8  # as Slurm counts them: what it places there may share this machine's

CONFIG = """
ClusterName=tracelet
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=2
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes={host} PriorityTier=9 PreemptMode=OFF State=UP
"""


def free_port() -> int:
    """Return a TCP port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Slurm:
    """A cluster with one node. ``environ`` makes Slurm's commands talk to it."""

    def __init__(self) -> None:
        for program in ("munged", "slurmctld", "slurmd", "srun", "sbatch"):
            if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
                pytest.skip(f"needs the program {program!r} (Debian: apt-get install slurm-wlm)")
        self.folder = Path(tempfile.mkdtemp(prefix="tracelet-slurm-"))
        self.folder.chmod(0o755)  # munged refuses to serve from a folder that others cannot enter
        self.environ = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        self._write_config()
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = self.folder / "munge"
        files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--socket={munge / 'socket'}", *files)
        self._await(lambda: (munge / "socket").exists(), "munged")
        self._daemon("slurmctld", "-D", "-i")
        self._daemon("slurmd", "-D", "-N", _host())
        self._await(lambda: "idle" in self.command("sinfo", "-h", "-o", "%T", check=False), "slurmd")

    def _write_config(self) -> None:
        text = CONFIG.format(
            host=_host(),
            user=pwd.getpwuid(os.geteuid()).pw_name,
            folder=self.folder,
            cpus=CPUS,
            controller_port=free_port(),
            node_port=free_port(),
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _daemon(self, *words: str) -> None:
        with open(self.folder / f"{words[0]}.out", "wb") as log:
            ending = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
            self._daemons.append(
                subprocess.Popen(
                    [*ending, *words],
                    env=self._environ(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        return {**kept, "PATH": path, **self.environ, **(more or {})}

    def _await(self, is_ready: object, name: str) -> None:
        end = time.monotonic() + START_SECONDS
        while not is_ready():  # type: ignore[operator]
            if time.monotonic() > end or any(each.poll() is not None for each in self._daemons):
                logs = sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
                pytest.fail(
                    f"{name} does not start:\n" + "\n".join(each.read_text()[-1500:] for each in logs)
                )
            time.sleep(0.1)

    def command(self, *words: str, check: bool = True) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            words, env=self._environ(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def state(self, job: str) -> str:
        """Return the state of a job: PENDING, RUNNING, COMPLETING, COMPLETED, ..."""
        shown = self.command("scontrol", "-o", "show", "job", job, check=False)
        return next((word[9:] for word in shown.split() if word.startswith("JobState=")), "GONE")

    def wait_for(self, job: str, *states: str, seconds: float = 60) -> None:
        """Wait until a job is in one of these states."""
        end = time.monotonic() + seconds
        while (state := self.state(job)) not in states:
            if time.monotonic() > end or state in ("FAILED", "CANCELLED", "NODE_FAIL"):
                pytest.fail(
                    f"job {job} is not {' or '.join(states)}:\n"
                    + self.command("scontrol", "show", "job", job, check=False)
                )
            time.sleep(0.1)

    def close(self) -> None:
        """End all jobs and daemons, and remove the folder."""
        if len(self._daemons) == 3:
            self.command("scancel", "--state=PENDING", check=False)
            self.command("scancel", "--signal=KILL", "--full", "--state=RUNNING", check=False)
            self.command("scancel", "--user", pwd.getpwuid(os.geteuid()).pw_name, check=False)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def _host() -> str:
    return socket.gethostname().partition(".")[0]
