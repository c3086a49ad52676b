"""Two hosts on one machine: network namespaces that are connected by a pair of virtual cards, and share all folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest


class Hosts:
    """Two hosts. Programs on one reach the other under its address only, and neither reaches the machine."""

    def __init__(self) -> None:
        for program in ("ip", "unshare", "nsenter"):
            if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
                pytest.skip(f"needs the program {program!r} (Debian: apt-get install iproute2 util-linux)")
        #: A host is a process that does nothing, which keeps its namespaces.
        self._holders: list[subprocess.Popen[bytes]] = []
        self._programs: list[subprocess.Popen[str]] = []
        self.addresses = ["10.77.0.1", "10.77.0.2"]

    def start(self, folder: Path) -> None:
        """Make the hosts, or skip the test if that is not allowed here. ``folder`` is for their list of names."""
        names = [f"tracelet-{number}" for number in (1, 2)]
        listed = folder / "hosts"
        lines = [f"{address} {name}" for address, name in zip(self.addresses, names, strict=True)]
        listed.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        for name in names:
            script = f"hostname {name} && mount --bind {listed} /etc/hosts && echo ready && exec sleep 600"
            words = ("unshare", "--net", "--uts", "--mount", "sh", "-c", script)
            holder = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
            self._holders.append(holder)
            assert holder.stdout is not None
            if holder.stdout.readline() != b"ready\n":
                pytest.skip("needs the right to make network namespaces (root)")
        two = str(self._holders[1].pid)
        self._on(0, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two)
        for host, address in enumerate(self.addresses):
            self._on(host, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            for card in ("lo", "eth0"):
                self._on(host, "ip", "link", "set", card, "up")

    def _on(self, host: int, *words: str) -> None:
        subprocess.run(self.words(host, *words), check=True, stdin=subprocess.DEVNULL, timeout=30)

    def words(self, host: int, *words: str, folder: Path | None = None) -> tuple[str, ...]:
        """Return the command that runs another one on a host, in a folder."""
        where = (f"--wd={folder}",) if folder is not None else ()
        return ("nsenter", f"--target={self._holders[host].pid}", "--net", "--uts", "--mount", *where, *words)

    def launch(self, host: int, jobs: Any, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a program on a host, in the project's folder."""
        program = subprocess.Popen(
            self.words(host, *words, folder=jobs.path),
            env={**jobs.project.environ, "GLOO_SOCKET_IFNAME": "eth0", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """Remove the hosts, and end the programs that are left on them."""
        for program in self._programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
                program.communicate()
        for holder in self._holders:
            holder.kill()
            holder.wait(10)
