"""Masking: no secret gets through in any form it may stand in, and what a training needs to know stays."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.secrets import mask_recorded
from tracelet_hookspecs import MASK, is_secret_key, mask_arguments, mask_text
from tracelet_hookspecs._secret_commands import _PROGRAMS
from tracelet_hookspecs._secret_text import may_hold_command

SECRET_NAMES = [
    *(
        "token",
        "api-key",
        "api_key",
        "apikey",
        "password",
        "passwd",
        "db-password",
        "secret",
        "client-secret",
    ),
    *("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "DB_PASS", "wandbKey", "githubToken", "auth"),
    *(
        "credentials",
        "access_key_id",
        "private-key",
        "api-keys",
        "X-Api-Key",
        "Authorization",
        "trainer.api_key",
    ),
]
PLAIN_NAMES = [
    *(
        "lr",
        "max_tokens",
        "num-tokens",
        "tokenizer",
        "tokenizer_path",
        "key_dim",
        "monkey",
        "author",
        "compass",
    ),
    *("path", "patience", "PATH", "PWD", "keyboard", "batch_size", "bypass-check", "n_keys"),
]
# Never part of anything else that a command line holds here.
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map("S3CR3T".__add__)
NAMES = st.sampled_from(SECRET_NAMES)
OTHERS = st.lists(
    st.sampled_from(["--lr", "0.1", "train.py", "--fast", "-v", "--token", "x=1", "--"]), max_size=3
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    assert is_secret_key(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_plain_names(name: str) -> None:
    assert not is_secret_key(name)


@given(NAMES, SECRETS, OTHERS, OTHERS)
def test_the_value_of_a_secret_option(name: str, secret: str, before: list[str], after: list[str]) -> None:
    for argv in ([f"--{name}", secret], [f"--{name}={secret}"], [f"-{name}", secret], [f"{name}={secret}"]):
        shown = " ".join(mask_arguments([*before, *argv, *after]))
        assert "S3CR3T" not in shown
        assert secret not in shown


@given(NAMES, SECRETS)
def test_in_headers_json_and_queries(name: str, secret: str) -> None:
    texts = [
        f"{name}: {secret}",
        json.dumps({"lr": 1, name: secret}),
        json.dumps({"outer": {name: [secret, secret]}}),
        f"--config={json.dumps({name: secret}, ensure_ascii=False)}",
        f"https://example.org/x?a=1&{name}={quote(secret, safe='')}&b=2",
        f"--url=https://example.org/x?{name}={quote(secret, safe='')}",
        f"--env={name}={quote(secret, safe='')}",
        f"import x; x.login({name}={secret!r}); x.run()",
    ]
    for text in texts:
        assert "S3CR3T" not in mask_arguments(["train.py", text])[1], text


@given(
    st.from_regex(r"[a-z]{0,8}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), max_size=15).map("S3CR3T".__add__),
    st.sampled_from(["https", "postgresql+psycopg2", "mongodb"]),
)
def test_the_password_of_a_url(user: str, password: str, scheme: str) -> None:
    for userinfo in (f"{user}:{quote(password, safe='')}", f"{user}:{password}", quote(password, safe="")):
        shown = mask_text(f"see {scheme}://{userinfo}@example.org:5432/db and more")
        assert "S3CR3T" not in shown
        assert shown.endswith("@example.org:5432/db and more")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer S3CR3TS3CR3T",
        "curl -H 'Authorization: Basic S3CR3TS3CR3T=='",
        "sk-proj-S3CR3TS3CR3TS3CR3T",
        "ghp_S3CR3TS3CR3TS3CR3T",
        "hf_S3CR3TS3CR3TS3CR3T",
        "AKIAS3CR3TS3CR3TS3CR",
        "eyJS3CR3TS3CR3T.S3CR3T.S3CR3T",
    ],
)
def test_tokens_that_show_by_their_form(text: str) -> None:
    assert "S3CR3T" not in mask_text(text)


@pytest.mark.parametrize(
    "argv",
    [
        ["python", "train.py", "--lr", "0.1", "--max_tokens=5", "model.tokenizer=bert", "key_dim=64"],
        ["pip", "install", "git+https://example.org/team/repo@v1.2", "https://example.org:8080/a@b"],
        ["python", "-c", "print('epoch: %d' % 3); x = {'lr': 0.1}"],
        ["--save-token", "--lr", "0.1"],
        [
            "--token=",
            "-v",
            "--keys",
            "image",
            "label",
            "--eos_token",
            "</s>",
            "--pass",
            "2",
            "--tokens",
            "300",
        ],
        ["rsync", "host:/data", "a=b:c", "C:\\data", "--exclude=*.pt"],
    ],
)
def test_what_is_no_secret_stays_as_it_was(argv: list[str]) -> None:
    assert mask_arguments(argv) == argv


def test_masks_look_like_this() -> None:
    argv = [
        "train.py",
        "--api-key",
        "abc",
        "--password=p w",
        "WANDB_API_KEY=1",
        "https://u:p@h/x?token=t&n=1",
    ]
    assert mask_arguments(argv) == [
        "train.py",
        "--api-key",
        MASK,
        f"--password={MASK}",
        f"WANDB_API_KEY={MASK}",
        f"https://u:{MASK}@h/x?token={MASK}&n=1",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ["--api-keys", "Zq81XwCanary9", "Zq81XwCanary9"],
        ["--tokens", "Zq81XwCanary9", "Zq81XwCanary9b", "--lr", "1"],
        ["--opt", "wandb.api_key", "Zq81XwCanary9"],
        ["opts", "MODEL.WEIGHTS", "x.pth", "HUB.TOKEN", "Zq81XwCanary9"],
    ],
)
def test_further_values_and_pairs_of_a_command_line(argv: list[str]) -> None:
    assert "Zq81XwCanary9" not in str(mask_arguments(argv))


@pytest.mark.parametrize(
    "argv", [["--api-key-file", "k", "train3b.yaml"], ["opts", "MODEL.TOKEN", "gpt2", "SOLVER.LR", "1e-3"]]
)
def test_ordinary_pairs_of_a_command_line(argv: list[str]) -> None:
    assert mask_arguments(argv) == argv


COMMANDS_WITH_SECRETS = [
    *(
        "mysql -pX db",
        "mysql -u root -pX",
        "mysqldump -h h -u me -p'X' db > f",
        "mariadb -uroot -pX -e 'select 1; select 2'",
    ),
    *(
        "mysql -e 'select 1; select 2' -pX",
        "cat d.sql | mysql -pX db",
        "cd a && /usr/bin/mysql -pX",
        "sudo mysql -pX",
    ),
    *(
        "curl -u me:X https://h/",
        "curl -ume:X h",
        "curl -sSu me:X h",
        "curl --user 'me:X' h",
        "curl --user=me:X h",
    ),
    *(
        "curl -U me:X h",
        "curl --proxy-user me:X h",
        "http -a me:X h",
        "lftp -u me,X h",
        "smbclient //h/s -U me%X",
    ),
    *(
        "PGPASSWORD=X psql -h h",
        "MYSQL_PWD=X mysql",
        "psql 'host=h password=X'",
        "psql postgresql://me:X@h/db",
    ),
    *(
        "sshpass -p X ssh me@h",
        "sshpass -pX scp a b",
        "redis-cli -a X ping",
        "redis-cli -p 6379 -a X",
        "redis-cli --pass X",
    ),
    *(
        "docker login -u me -p X h",
        "docker login -pX",
        "docker login --password X",
        "docker login -u docker -p X",
    ),
    *(
        "podman login -p X h",
        "helm registry login h -u me -p X",
        "twine upload -u me -p X dist/*",
        "mongosh -u me -p X",
    ),
    *(
        "ldapsearch -x -D cn=a -w X",
        "sqlcmd -S h -U sa -P X",
        "unzip -P X a.zip",
        "7z a -pX f",
        "influx -password X",
    ),
    *(
        "mysqladmin -u root password X",
        "wget --user=me --password=X h",
        "java -Dpassword=X",
        "gpg --passphrase X",
    ),
]


@pytest.mark.parametrize("command", COMMANDS_WITH_SECRETS)
def test_secrets_in_the_options_of_known_programs(command: str) -> None:
    command = command.replace("X", "hunter2")
    words = shlex.split(command)
    for text in (
        command,
        f"subprocess.CalledProcessError: Command '{command}' returned non-zero exit status 1.",
        f"Command {words!r} returned non-zero exit status 1.",
        json.dumps({"cmd": command}),
        json.dumps(words),
        f"$ {command}\nepoch 3",
    ):
        assert "hunter2" not in mask_text(text), text
    assert "hunter2" not in str(mask_arguments(words))


@pytest.mark.parametrize(
    "command", ["echo X | docker login -u me --password-stdin", "echo 'X' | sudo -S apt install y"]
)
def test_secrets_that_are_piped(command: str) -> None:
    assert "hunter2" not in mask_text(command.replace("X", "hunter2"))


@pytest.mark.parametrize(
    "command",
    [
        *("train.py -p 0.5 -u 3", "python train.py -p 0.5 -a 1 -w 2 -P 3", "docker run -p 8080:80 img"),
        *(
            "docker login -u me h",
            "mysql -p db",
            "mysql -P 3306 -h h",
            "mysql -p$PW db",
            "curl -u me https://h",
        ),
        *("curl https://h:8080/x", "redis-cli -p 6379", "ssh -p 22 me@h", "sshpass -e ssh h", "mkdir -p a/b"),
        *(
            "curl -O https://a:80/b",
            "zip -r a b",
            "python -m http.server -p 80",
            "helm install x -p y",
            "echo 3 | tee -a f",
        ),
        *(
            "mysql x; train.py -p0.5",
            "redis-cli -n 1; train.py -a 3",
            "curl h && train.py -u a:b",
            "mysql x\nfit -p0.5",
        ),
    ],
)
def test_the_same_options_elsewhere_are_kept(command: str) -> None:
    assert mask_text(command) == command


def test_the_time_of_masking_commands_is_linear() -> None:
    def seconds(text: str) -> float:
        began = time.process_time()
        mask_text(text)
        return time.process_time() - began

    for text in ("mysql -p'", "curl -u curl:", "docker login -u docker -p ", "'mysql', '-p', "):
        assert seconds(text * 8000) < 40 * max(seconds(text * 800), 0.005), text


def test_every_known_program_is_looked_for() -> None:
    for program in _PROGRAMS:
        assert may_hold_command(f"{program} -p x"), program
        assert may_hold_command(str([program, "-p", "x"])), program
        assert may_hold_command(json.dumps([program, "-p"])), program


def test_a_command_line_without_these_programs_does_not_load_the_table() -> None:
    program = (
        "import sys; from tracelet_hookspecs import mask_arguments, mask_text\n"
        "mask_arguments(['train.py', '--lr', '0.1', '-p', '3', 'model=unet']); mask_text('epoch 3: loss -0.1')\n"
        "assert 'tracelet_hookspecs._secret_commands' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_command_line_among_parameters() -> None:
    line = ["curl", "-u", "me:hunter2", "--token", "hunter2", "h"]
    nested = mask_recorded({"cmd": line, "more": {"args": ["sshpass", "-p", "hunter2", "ssh"]}})
    flat = mask_recorded({f"cmd/{place}": word for place, word in enumerate(line)})
    assert "hunter2" not in str(nested.values)
    assert list(flat.values.values()) == ["curl", "-u", "me:***", "--token", MASK, "h"]
    assert flat.hidden == ["cmd/2", "cmd/4"]
    ordinary = {"layers/0": "conv", "layers/1": "-1", "words/0": "a", "n/0": 1, "n/1": "-p", "p": "-p 0.5"}
    assert mask_recorded(ordinary).values == ordinary
