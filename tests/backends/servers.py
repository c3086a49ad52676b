"""Real servers for the tests of backends: private ones, on free loopback ports, in folders that are removed again.

``conftest.py`` makes this module importable as ``backend_servers`` and has the fixtures. A server ends with the test
process, however that ends (``setpriv --pdeathsig``, if util-linux is installed).
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

HOST = "127.0.0.1"
START_SECONDS = 60  # on a busy machine; idle, each of these servers starts within a second
STOP_SECONDS = 20
TRIES = 3  # another process may take a port between its choice and its use


def free_port() -> int:
    """Return a TCP port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def run_ranks(program: str, ranks: Sequence[tuple[Path, dict[str, str]]], seconds: float) -> None:
    """Run a program as several ranks of a job, each in a folder and with an environment; nothing may stay pending."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=folder, env=environ, stderr=subprocess.PIPE, text=True
        )
        for folder, environ in ranks
    ]
    for process in processes:
        _, errors = process.communicate(timeout=seconds)
        assert (process.returncode, "pending" in errors) == (0, False), errors


def find_program(name: str, package: str, folders: Sequence[Path] = ()) -> Path:
    """Return the path of a program, or skip the test and say which Debian package has it."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"needs the program {name!r} (Debian: apt-get install {package})")
    return Path(found)


class Server:
    """A program that serves until it is stopped. Its output goes to ``log``."""

    #: The signal that ends it in order.
    stop_signal = signal.SIGTERM
    #: The user that it runs as, if this process may choose.
    user: str | None = None
    #: How long it may take until it answers.
    start_seconds = START_SECONDS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return the program and its arguments; it listens on ``self.port``."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Say whether it answers."""
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Start it, on the same port as before if there was one, and wait until it answers."""
        for _ in range(TRIES):
            given, self.port = self.port, self.port or free_port()
            self._spawn()
            if self._wait_until_ready():
                return
            self.kill()
            self.port = given
        pytest.fail(f"{self.command()[0]} does not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def _spawn(self) -> None:
        words = self.command()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self._setpriv(), *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is for pytest, which then stops the server
            )

    def _setpriv(self) -> list[str]:
        if shutil.which("setpriv") is None:
            return []
        words = ["setpriv", "--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        if self.user and os.geteuid() == 0:
            words += ["--reuid", self.user, "--regid", self.user, "--init-groups"]
        return words

    def _wait_until_ready(self) -> bool:
        assert self.process is not None
        end = time.monotonic() + self.start_seconds
        while time.monotonic() < end and self.process.poll() is None:
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End it in order."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)

    def close(self) -> None:
        """End it and remove its folder."""
        self._end(self.stop_signal)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """A private cluster: ``dsn()`` connects to it, ``create_database()`` makes a fresh database.

    PostgreSQL refuses to run as root, so the cluster then belongs to the user that Debian's package creates.
    """

    stop_signal = signal.SIGINT  # PostgreSQL's "fast" shutdown; SIGTERM would wait for clients
    user = "postgres"
    password = "pass word/%"  # to be quoted in URLs

    def __init__(self) -> None:
        self.initdb = _postgres_program("initdb")
        self.psql = _postgres_program("psql")
        self.postgres = _postgres_program("postgres")
        super().__init__(Path(tempfile.mkdtemp(prefix="tracelet-pg-")))
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._databases = 0
        self._initialize()

    def _initialize(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # the folder itself is private
        subprocess.run(
            [
                *self._setpriv(),
                *(str(self.initdb), "--no-sync", "--auth=scram-sha-256", "--username=postgres"),
                *("--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={secret}", str(self.folder / "data")),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def command(self) -> list[str]:
        """Return the server's command. Without fsync it is faster, and a killed server still loses nothing."""
        options = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 40,
        }
        settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        return [str(self.postgres), "-D", str(self.folder / "data"), *settings]

    def is_ready(self) -> bool:
        """Say whether it runs statements."""
        return super().is_ready() and self._run_psql("select 1", "postgres").returncode == 0

    def kill(self) -> None:
        """End it as a crash would, and wait until its last process has noticed."""
        super().kill()
        end = time.monotonic() + STOP_SECONDS
        while (self.folder / f".s.PGSQL.{self.port}.lock").exists() and time.monotonic() < end:
            if not self._has_processes():
                break
            time.sleep(0.02)

    def _has_processes(self) -> bool:
        data = os.fsencode(self.folder / "data")
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.fsencode(os.readlink(entry)) == data:
                    return True
            except OSError:
                continue
        return False

    def dsn(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """Return a URL, with the password in it."""
        from urllib.parse import quote

        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database, and return its name."""
        self._databases += 1
        name = f"test{self._databases}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def sql(self, statements: str, database: str = "postgres") -> list[list[str]]:
        """Run statements as the superuser, and return the rows as text."""
        done = self._run_psql(statements, database)
        if done.returncode:
            pytest.fail(f"{statements}\n{done.stderr}")
        return list(csv.reader(done.stdout.splitlines()))

    def _run_psql(self, statements: str, database: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.psql), "-qX", "--csv", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PGHOST": HOST,
                "PGPORT": str(self.port),
                "PGUSER": "postgres",
                "PGDATABASE": database,
                "PGPASSWORD": self.password,
                "PGCONNECT_TIMEOUT": "10",
            },
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )


class Prometheus(Server):
    """A private Prometheus that accepts remote write; ``query`` reads what it has."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = find_program("prometheus", "prometheus")
        self.is_receiver = True
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").touch()

    def command(self) -> list[str]:
        """Return the server's command."""
        return [
            str(self.program),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            *(["--web.enable-remote-write-receiver"] if self.is_receiver else []),
            "--storage.tsdb.retention.time=100y",
        ]

    def is_ready(self) -> bool:
        """Say whether it has loaded its data."""
        try:
            return fetch(f"{self.url}/-/ready")[0] == 200
        except OSError:
            return False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def query(self, expression: str, at: float) -> list[dict[str, Any]]:
        """Return the results of an instant query."""
        from urllib.parse import urlencode

        status, text = fetch(f"{self.url}/api/v1/query?{urlencode({'query': expression, 'time': at})}")
        answer = json.loads(text)
        if status != 200 or answer["status"] != "success":
            pytest.fail(f"{expression}: {text.decode()}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def samples(self, selector: str, at: float, span: str = "50y") -> dict[str, list[tuple[float, float]]]:
        """Return the raw samples of series up to a time, by writer: (time, value) each."""
        return {
            one["metric"].get("writer", ""): [(when, float(value)) for when, value in one["values"]]
            for one in self.query(f"{selector}[{span}]", at)
        }


class Pushgateway(Server):
    """A private Pushgateway; ``text`` returns what Prometheus would scrape."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = find_program("prometheus-pushgateway", "prometheus-pushgateway")
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """Return the server's command."""
        return [str(self.program), f"--web.listen-address={HOST}:{self.port}"]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def text(self) -> str:
        """Return what it exposes."""
        return fetch(f"{self.url}/metrics")[1].decode()


def fetch(url: str) -> tuple[int, bytes]:
    """Return the status and the body of a page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class MlflowServer(Server):
    """``mlflow server`` with a database, a SQLite file by default, which also stores the artifacts."""

    start_seconds = 170  # it imports MLflow twice

    def __init__(self, database: str = "") -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="tracelet-mlflow-")))
        self.database = database or f"sqlite:///{self.folder}/mlflow.db"

    @property
    def uri(self) -> str:
        """The address for clients."""
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        """Return the server's command: the one worker is enough for tests."""
        options = {
            "host": HOST,
            "port": self.port,
            "workers": 1,
            "backend-store-uri": self.database,
            "artifacts-destination": self.folder / "artifacts",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *words]

    def is_ready(self) -> bool:
        """Say whether it answers requests."""
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        """End it with the processes that it has started."""
        process, self.process = self.process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, how)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(STOP_SECONDS)

    def client(self) -> Any:
        """Return an ``MlflowClient``."""
        from mlflow import MlflowClient

        return MlflowClient(self.uri)


def _postgres_program(name: str) -> Path:
    """Return a program of the newest PostgreSQL; Debian keeps them outside PATH."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(Postgres.user)
        except KeyError:
            pytest.skip("needs the user 'postgres', since PostgreSQL does not run as root")
        if shutil.which("setpriv") is None:
            pytest.skip("needs the program 'setpriv' (Debian: apt-get install util-linux) to run PostgreSQL")
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    return find_program(name, "postgresql", folders)


def wait_until(condition: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """Return the first true answer of a function that is called repeatedly; fail the test without one."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)
    return answer


class S3(Server):
    """moto's S3 server, in memory: ``create_bucket()`` makes a fresh bucket, ``options`` are for ``s3fs``."""

    def __init__(self) -> None:
        if importlib.util.find_spec("moto") is None or importlib.util.find_spec("s3fs") is None:
            pytest.skip("needs moto's S3 server and s3fs: pip install 'moto[server]' s3fs")
        super().__init__(Path(tempfile.mkdtemp(prefix="tracelet-s3-")))
        self._buckets = 0

    def command(self) -> list[str]:
        """Return the server's command."""
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """The options of a client."""
        return {"key": "testing", "secret": "testing", "endpoint_url": self.endpoint}

    def create_bucket(self) -> str:
        """Return the name of an empty bucket."""
        self._buckets += 1
        name = f"lake-{self._buckets}"
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        return name
