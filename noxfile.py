"""The gates and the passes of the tests, each under a name: ``nox -l`` lists them, ``nox -s types`` runs one.

``.ci/run`` calls the same sessions, so whatever CI does can be repeated here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "layers", "wheel", "docs", "tests"]

OLDEST_AND_NEWEST = ["3.10", "3.13"]
#: What the short passes leave out: tests that install packages, slow ones, and folders for which the version of Python
#: makes no difference beyond what mypy sees (pages, clients and programs of others, what the kernel does).
LEFT_OUT = [
    *(
        "backends",
        "browser",
        "compat",
        "docs",
        "downstream",
        "faults",
        "frameworks",
        "importers",
        "jobs",
        "lake",
    ),
    *("seeing", "testing", "ui"),
]
SHORT = [
    *("-m", "not pip and not slow and not any_python", "--hypothesis-profile=short", "--cases=3"),
    *(f"--ignore=tests/{folder}" for folder in LEFT_OUT),
]

#: What the tests of each folder under tests/backends install, besides the extra of the same name. The clients
#: contradict each other's requirements, so each has its own environment.
FAR_SIDES: dict[str, list[str]] = {
    "aim": [],
    "clearml": [],
    "lake": ["moto[server]>=5", "polars>=1.0", "s3fs>=2025.2"],
    "mlflow": ["psycopg[binary]>=3.1", "psycopg2-binary"],  # which one depends on the version of SQLAlchemy
    "otlp": ["grpcio>=1.60"],
    "postgres": [],
    "prometheus": ["prometheus-client>=0.20"],
    "tensorboard": ["tbparse>=0.0.8", "tensorboard>=2.17", "tensorboardX>=2.6"],
    "together": ["tensorboard>=2.17"],
    "trackio": [],
    "wandb": [],
}
#: Extras of the folders that are not named after one.
EXTRAS = {"tensorboard": "", "together": ",mlflow,wandb,postgres,prometheus"}

#: What the tests of each folder under tests/frameworks install: the frameworks themselves.
FAMILIES: dict[str, list[str]] = {
    "sklearn": [
        *("catboost>=1.2", "click>=8.1", "hydra-core>=1.3", "keras>=3.5", "lightgbm>=4.5", "optuna>=4.0"),
        *("scikit-learn>=1.5", "torch==2.13.0", "xgboost-cpu>=2.1"),
    ],
    "tensorflow": ["tensorboard>=2.17", "tensorflow-cpu>=2.16"],
    "torch": [
        "accelerate>=1.0",
        "lightning>=2.3",
        "matplotlib",
        "pytorch-ignite>=0.5",
        "soundfile>=0.12",
        "stable-baselines3>=2.3",
        "tensorboard>=2.17",
        "tensorboardX>=2.6",
        "torch==2.13.0",
        "transformers>=5.0",
    ],
}

#: What their programs import, to be compiled before.
IMPORTED: dict[str, list[str]] = {
    "sklearn": [
        *("catboost", "keras", "lightgbm", "optuna", "sklearn.ensemble", "sklearn.linear_model"),
        *("sklearn.model_selection", "torch", "xgboost"),
    ],
    "tensorflow": ["tensorflow", "tensorboard.main"],
    "torch": [
        *("accelerate", "ignite.engine", "lightning.pytorch", "stable_baselines3", "tensorboard.main"),
        *("torch.utils.tensorboard", "transformers.trainer"),
    ],
}

#: Extras that the tests of each folder under tests/jobs need. The launchers are Debian's slurm-wlm and openmpi-bin.
ENGINES: dict[str, str] = {"launchers": ",lake", "ray": ",lake,ray"}


#: For importing packages once: what is compiled is stored, and Keras uses PyTorch, as in the tests.
WRITES = {"PYTHONDONTWRITEBYTECODE": "", "KERAS_BACKEND": "torch"}


def install_compiled(session: nox.Session, *packages: str, imported: Sequence[str] = ()) -> None:
    """Install packages, and compile what each program of a test imports.

    Hundreds of them start, and none stores what it compiles. ``imported`` are modules of large packages that
    are installed already; of these, only what is imported is compiled.
    """
    session.env["UV_COMPILE_BYTECODE"] = "1"
    session.install(*packages)
    session.run("python", "-m", "compileall", "-q", "hookspecs", "tracelet", "builtin_plugins")
    for module in imported:
        session.run("python", "-c", f"import {module}", silent=True, env=WRITES)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and spelling."""
    session.install("ruff>=0.9", "codespell>=2.3", "tomli>=2.0; python_version < '3.11'")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell", "-D", "-", "-D", ".codespell/house.txt")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types (mypy, strict)."""
    session.install("-e", ".[lint]")
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports point downward only, and that no two modules import each other."""
    session.install("-e", ".[lint]")
    session.run("lint-imports")
    session.run("python", ".ci/check_circles.py")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and check what it contains."""
    session.install("build>=1.2")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), ".", silent=True)
    session.run("python", ".ci/check_wheel.py", *map(str, dist.glob("*.whl")))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", *(session.posargs or ["site"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests. Arguments after ``--`` go to pytest."""
    install_compiled(session, "-e", ".[test]")
    session.run("pytest", *(session.posargs or ["-n", "auto"]))


@nox.session
@nox.parametrize("client", sorted(FAR_SIDES))
def far_sides(session: nox.Session, client: str) -> None:
    """Test a backend with its real client and, if one can run here, its real server."""
    extras = EXTRAS.get(client, f",{client}")
    tools = ("pytest-timeout>=2.3", "pytest-xdist>=3.5")
    install_compiled(session, "-e", f".[media,numpy,testing{extras}]", *tools, *FAR_SIDES[client])
    session.run("pytest", "-q", f"tests/backends/{client}", *(session.posargs or ["-n", "auto"]))


@nox.session(venv_backend="virtualenv")
@nox.parametrize("family", sorted(FAMILIES))
def frameworks(session: nox.Session, family: str) -> None:
    """Test the captures and objects of a family of frameworks with the frameworks themselves."""
    session.install(
        "--no-compile", *FAMILIES[family]
    )  # pip takes the smaller build of PyTorch, if it is at hand
    packages = ("-e", ".[media,numpy,testing]", "pytest-timeout>=2.3", "pytest-xdist>=3.5")
    install_compiled(session, *packages, imported=IMPORTED[family])
    session.run("pytest", "-q", f"tests/frameworks/{family}", *(session.posargs or ["-n", "2"]))


@nox.session(venv_backend="virtualenv")
@nox.parametrize("engine", sorted(ENGINES))
def jobs(session: nox.Session, engine: str) -> None:
    """Test jobs of several processes with the engines that start them: Slurm, MPI, torchrun and Ray."""
    session.install("--no-compile", "torch==2.13.0")  # pip takes the smaller build, if it is at hand
    packages = ("-e", f".[numpy,testing{ENGINES[engine]}]", "pytest-timeout>=2.3", "pytest-xdist>=3.5")
    imported = ["torch.distributed.run", *(["ray.train", "ray.tune"] if engine == "ray" else [])]
    install_compiled(session, *packages, imported=imported)
    session.run("pytest", "-q", f"tests/jobs/{engine}", *(session.posargs or ["-n", "2"]))


@nox.session
def seeing(session: nox.Session) -> None:
    """Test figures, notebooks and packed pages with the real libraries, a Jupyter kernel and Chromium."""
    tools = (
        "ipykernel>=6.20",
        "jupyter-client>=8",
        "playwright>=1.40",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.5",
    )
    install_compiled(session, "-e", ".[media,numpy,plot,testing]", *tools)
    session.run("pytest", "-q", "tests/seeing", *(session.posargs or ["-n", "2"]))


@nox.session
def browser(session: nox.Session) -> None:
    """Test the page in Chromium, which the machine must have: each view is opened, used and read."""
    tools = ("axe-playwright-python>=0.1.6", "playwright>=1.50", "pytest-timeout>=2.3", "pytest-xdist>=3.5")
    install_compiled(session, "-e", ".[media,testing,ui]", "httpx2>=2.0", *tools)
    session.run("pytest", "-q", "tests/browser", *(session.posargs or ["-n", "2"]))


@nox.session(python=OLDEST_AND_NEWEST)
def short(session: nox.Session) -> None:
    """Run the shorter pass of the tests on the oldest and the newest Python."""
    install_compiled(session, "-e", ".[test,polars]")
    session.run("pytest", "-q", *SHORT, *(session.posargs or ["-n", "auto"]))
