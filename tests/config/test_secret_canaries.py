"""Every kind of secret goes in at every door, and comes out of none; ordinary parameters stay readable."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# On one worker, since all of them read what one fixture makes.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("secret_canaries")]

ALPHABET = "Qz81Xw"


def canary(name: str) -> str:
    """Return a secret that nothing else here contains; each half is looked for by itself."""
    return f"Can{name}{ALPHABET}Ary{name}Kp70"


PEM = "\n".join(
    ["-----BEGIN PRIVATE KEY-----", canary("PemOne"), canary("PemTwo"), "-----END PRIVATE KEY-----"]
)

# Doors that take a list of words: the secret shows by its option, by its name or by its own form.
ARGUMENTS = [
    *(
        "--pat",
        canary("Pat"),
        f"--pin={canary('Pin')}",
        "--header",
        f"Authorization: Bearer {canary('Bearer')}",
    ),
    *("--hf", f"hf_{canary('Hf')}", f"sk-proj-{canary('OpenAi')}", f"ghp_{canary('GitHub')}"),
    *(f"github_pat_{canary('GitHubPat')}", f"glpat-{canary('GitLab')}", f"xoxb-12-{canary('Slack')}"),
    *("AKIACANARYCANARY1234", f"eyJ{canary('Jwt')}.{canary('JwtBody')}.{canary('JwtSign')}"),
    *(
        "-u",
        f"ann:{canary('UserOption')}",
        f"--user=ann:{canary('UserAssigned')}",
        "--password",
        f"-{canary('Dash')}",
    ),
    *(f"PGPASSWORD={canary('Pg')}", "--jwt", canary("JwtOption"), "--creds", canary("Creds")),
    *(
        "--cookie",
        f"session={canary('CookieOption')}",
        "-H",
        f"Cookie: a=b; session={canary('CookieHeader')}",
    ),
    *("--json", json.dumps({"api_key": canary("Json"), "deep": {"tokens": [canary("JsonList")]}})),
    *(
        "--url",
        f"https://host/x?token={canary('Query')}&n=1",
        f"https://{canary('UserInfo')}@ingest.example/1",
    ),
    *("--dsn", f"postgres://u:{canary('DsnA')}@{canary('DsnB')}/{canary('DsnC')}'x@db/y"),
    f"--conn=Server=x;Uid=a;Pwd={canary('Odbc')};Database=d",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={canary('Azure')}==;EndpointSuffix=x",
    f"https://acct.blob.core.windows.net/c?sv=1&sig={canary('Sas')}&se=2",
    json.dumps({"type": "service_account", "private_key": PEM, "private_key_id": "x"}),
    PEM,
    f"machine h login me password {canary('Netrc')}",
    f"python -c 'login(token=\"{canary('Code')}\")'",
]
ENVIRONMENT = {
    "HF_TOKEN": canary("EnvHf"),
    "AWS_SECRET_ACCESS_KEY": canary("EnvAws"),
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "DATABASE_URL": f"postgres://u:{canary('EnvUrl')}@db/x",
    "MYSQL_PWD": canary("EnvPwd"),
    "HOOK": f"https://hooks.slack.com/services/T0/B0/{canary('EnvHook')}",
    "HEADERS": f"Authorization=Bearer {canary('EnvHeader')}",
    "ODD": f"{canary('OddA')}@/{canary('OddB')}",
}
CONFIGURATION = f"""
project = "canaries"
[plugins]
gpu = false
system = false
[plugins.environment]
env = ["*"]
packages = false
[plugins.sink]
api_key = "{canary("ConfigKey")}"
address = "postgres://u:{canary("ConfigA")}@{canary("ConfigB")}/{canary("ConfigC")}'x@db/y"
odd = "http://u:${{ODD}}@x/"
from_environment = "${{AWS_SECRET_ACCESS_KEY}}"
pin = 83719046
webhook_url = "https://hooks.example/T000/{canary("Webhook")}"
tokens = ["{canary("ConfigListA")}", "{canary("ConfigListB")}"]
declared = "{canary("Declared")}"
[plugins.sink.headers]
Authorization = "Bearer {canary("ConfigHeader")}"
"X-Api-Key" = "{canary("ConfigXApi")}"
[plugins.sink.credentials]
user = "{canary("ConfigUser")}"
inner = {{ deep = ["{canary("ConfigDeep")}"] }}
[plugins.apart]
isolation = "process"
api_key = "{canary("ApartKey")}"
address = "https://u:{canary("ApartUrl")}@h/x"
"""
PLUGINS = """
import logging, os, sys
from tracelet.core.plugins import BackendPlugin, PluginMetadata

class Sink(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        keys = ("api_key", "address", "odd", "from_environment", "webhook_url", "declared")
        schema = {key: {"type": "string"} for key in keys} | {
            "pin": {"type": "integer"}, "tokens": {"type": "array"},
            "headers": {"type": "object"}, "credentials": {"type": "object"}}
        schema["declared"]["secret"] = True
        return PluginMetadata(name=cls.__name__.lower(), version="1", type="backend", config_schema=schema)
    def initialize(self, config):
        self.failed = 0
    def start(self):
        logging.getLogger("tracelet.sink").debug("starting with %s", self.config)
    def stop(self):
        raise OSError(f"cannot leave {leaves(self.config)}")
    def get_status(self):
        return {"config": self.config, "all": leaves(self.config)}
    def log_metric(self, name, value, iteration):
        self.failed += 1
        if self.failed < 3:
            raise ConnectionError(f"401 for {self.config} as {leaves(self.config)}, {os.environ['HF_TOKEN']=}")
    def log_params(self, params):
        pass
    def log_artifact(self, local_path, artifact_path=None):
        pass

class Apart(Sink):
    pass

def leaves(value):
    if isinstance(value, dict):
        return " ".join(leaves(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return " ".join(map(leaves, value))
    return str(value)
"""
PROGRAM = """
import json, logging, sys
import tracelet

logging.basicConfig(level=logging.DEBUG, filename="debug.log")
params, failure = json.load(open(sys.argv[-1]))
with tracelet.start_run("canaries", run_id="canaries", tags={"login": params["header"], "hook": params["hook"]}) as run:
    run.wait_started(20)
    run.log_params(params)
    run.log({"loss": 1.0}, step=0)
    run.flush(timeout=5)
    print(json.dumps(run.status(), default=str), repr(run.status()), repr(run.config if hasattr(run, "config") else ""))
    raise RuntimeError(failure)
"""
PARAMS = {
    "api_key": canary("ParamKey"),
    "hf_token": f"hf_{canary('ParamHf')}",
    "nested": {"password": canary("ParamPassword"), "list": [{"secret": canary("ParamList")}]},
    "header": f"Authorization: Bearer {canary('ParamHeader')}",
    "hook": f"https://discord.com/api/webhooks/1/{canary('ParamHook')}",
    "wandb_key": "fedcba9876543210fedcba9876543210fedcba98",
    "url": f"https://u:{canary('ParamUrl')}@h/x",
    "key_file_content": PEM,
}
ORDINARY = {
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "stop_token": "###",
    "tokens": 300_000_000_000,
    "warmup_tokens": 375e6,
    "label_key": "y",
    "monitor_key": "val/loss",
    "key_dim": 64,
    "rng_key": [0, 42],
    "pass@1": 0.25,
    "num_key_value_heads": 8,
    "tokenizer": "gpt2",
    "author": "Ann B",
    "bypass": "none",
    "monkey": "george",
    "secretary": "Bob",
    "prompt": "Answer the question: {q}\nKey point: be brief.",
    "data": "https://example.org/x?split=train",
    "optimizer": {"name": "adam", "betas": [0.9, 0.98]},
}
FAILURE = (
    f"cannot log in: postgres://u:{canary('Failure')}@db, hf_{canary('FailureHf')}, password='{canary('FailurePw')}',"
    f" {{'Authorization': 'Bearer {canary('FailureHeader')}'}}"
)


def everything() -> list[str]:
    """Return every piece of every secret that must not show."""
    texts = [*ARGUMENTS, *ENVIRONMENT.values(), CONFIGURATION, repr(PARAMS), FAILURE]
    found = {word for text in texts for word in __import__("re").findall(r"Can\w+?Qz81XwAry\w+?Kp70", text)}
    assert len(found) > 60
    numbers = ["AKIACANARYCANARY1234", "83719046", "0123456789abcdef01234567", "fedcba9876543210"]
    return sorted(found) + numbers


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Run a program with all of the secrets and return every output that exists, by name."""
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("project")
    for name, text in (
        ("tracelet.toml", CONFIGURATION),
        ("tracelet_plugins.py", PLUGINS),
        ("train.py", PROGRAM),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "given.json").write_text(json.dumps([{**PARAMS, **ORDINARY}, FAILURE]))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "400", "NO_COLOR": "1", **ENVIRONMENT}
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", f"https://me:{canary('Git')}@example.org/x.git"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=env, check=True, timeout=30)
    commands = {
        "python": ["train.py", *ARGUMENTS, "given.json"],
        "run": ["-m", "tracelet", "run", "-v", "--trace-config", "train.py", *ARGUMENTS, "given.json"],
        "show": ["-m", "tracelet", "show", "canaries", "--all"],
        "show --json": ["-m", "tracelet", "show", "canaries", "--json"],
        "runs --json": ["-m", "tracelet", "runs", "--json"],
        "export": ["-m", "tracelet", "export", "canaries"],
        "plugins": ["-m", "tracelet", "plugins", "--trace-config"],
        "plugins --json": ["-m", "tracelet", "plugins", "--json"],
        "info": ["-m", "tracelet", "plugins", "info", "sink"],
        "info --json": ["-m", "tracelet", "plugins", "info", "sink", "--json"],
        "check": ["-m", "tracelet", "plugins", "check", "sink"],
        "doctor": ["-m", "tracelet", "doctor"],
        "verify": ["-m", "tracelet", "verify", "canaries"],
        "sync": ["-m", "tracelet", "sync", "canaries"],
        "hooks": ["-m", "tracelet", "hooks"],
        "export json": ["-m", "tracelet", "export", "canaries", "-f", "json"],
        "compact": ["-m", "tracelet", "compact", "canaries"],
        "show compacted": ["-m", "tracelet", "show", "canaries", "--all"],
    }
    outputs: dict[str, bytes] = {}
    for name, argv in commands.items():
        done = subprocess.run(
            [sys.executable, *argv],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
        )
        outputs[name] = done.stdout + own_lines(done.stderr)
    outputs["debug.log"] = (folder / "debug.log").read_bytes()
    for file in (folder / ".tracelet").rglob("*"):
        if file.is_file():
            outputs[str(file.relative_to(folder))] = file.read_bytes()
    return outputs


def own_lines(stderr: bytes) -> bytes:
    """Return what tracelet wrote: the program's own exception is shown by Python, as it is."""
    return b"\n".join(line for line in stderr.splitlines() if not line.startswith(b"RuntimeError: "))


def test_no_secret_is_in_any_output(outputs: dict[str, bytes]) -> None:
    assert any(name.endswith((".db", ".sqlite")) or "index" in name for name in outputs), sorted(outputs)
    assert b"cannot leave" in outputs["python"] + outputs["run"] + outputs["debug.log"]
    leaks = [
        f"{name}: {secret} in {context(text, secret.encode())}"
        for name, text in outputs.items()
        for secret in [*everything(), canary("Git")]
        if secret.encode() in text
    ]
    assert not leaks, "\n".join(leaks)


def context(text: bytes, secret: bytes) -> str:
    at = text.index(secret)
    return text[max(0, at - 80) : at + 80].decode("utf-8", "replace")


def test_ordinary_parameters_stay_readable(outputs: dict[str, bytes]) -> None:
    params = json.loads(outputs["show --json"])["params"]
    assert params["tokens"] == 300_000_000_000
    flat = {
        "optimizer/name": "adam",
        **{k: v for k, v in ORDINARY.items() if not isinstance(v, (dict, list))},
    }
    assert {name: params.get(name) for name in flat} == flat


def test_masking_is_reported_once_with_the_remedy(outputs: dict[str, bytes]) -> None:
    text = outputs["debug.log"].decode()
    assert "are recorded as" in text
    assert 'set not_secret = ["' in text
    assert text.count("recorded as") <= 4  # parameters and tags, in each of the two runs
