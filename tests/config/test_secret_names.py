"""Which names and values are secrets: ordinary hyperparameters are not, whatever their names hold."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.secrets import mask, mask_recorded, masking, report_masked, set_readable_names
from tracelet_hookspecs import is_ordinary, is_secret, mask_text

ORDINARY = {
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "best_key": "coco/bbox_mAP_50",
    "ckpt_metric_key": "val/mAP50-95",
    "miou_key": "val/mIoU",
    "dataset_key": "coco_2017_train_100_panoptic_separated",
    "mix_key": "llava_v1_5_mix665k",
    "random_key": "threefry2x32",
    "node_key": "h100x8",
    "kv_cache_key_dtype": "fp8_e4m3",
    "token_mixer": "SepConv2d_3x3",
    "tokens_per_second": "12.3k tok/s",
    "two_pass": "first",
    "high_pass": "0.5Hz",
    "low_pass_filter": "butter4_hp10hz",
    "run_name": "sk-learn-baseline-experiment-1",
    "note": "r8_quantized_llama3_8b_instruct_awq",
    "inputs": ["token", "label"],
    "spec": {"name": "token", "value": "gpt2"},
    "mask_token": "[MASK]",
    "stop_token": "###",
    "end_token": "<|im_end|>",
    "tokens": 300_000_000_000,
    "warmup_tokens": 375e6,
    "tokens_per_batch": 4096,
    "tokens_seen": "300B",
    "special_tokens": "<extra_id_0>",
    "image_token": "<image>",
    "new_tokens": "128",
    "token_type": "bpe",
    "label_key": "y",
    "target_key": "labels",
    "monitor_key": "val/loss",
    "cache_key": "train-v1",
    "keys": "image",
    "sort_key": "len",
    "key_dim": 64,
    "n_keys": 16,
    "rng_key": 0,
    "num_key_value_heads": 8,
    "key_bias": 0.5,
    "key_query_value": "fused",
    "metric_key_prefix": "eval",
    "image_keys": "camera_0,camera_1",
    "hotkey": "ctrl",
    "pass": 2,
    "n_pass": 3,
    "multi_pass": True,
    "pass@1": 0.3,
    "passes": 2,
    "bypass": "none",
    "compass": "north",
    "pin_memory": 1,
    "pinned": "x2y",
    "token": 5,
    "pad_token_id": 0,
    "max_tokens": 512,
    "password_length": 8,
    "tokenizer": "gpt2",
    "detokenize": "yes",
    "author": "Ann B",
    "keyboard": "qwerty",
    "keypoints": "17",
    "secretary": "Bob",
    "monkey": "george",
    "turkey": "bird",
    "donkey": "kong1234x",
    "secretion": "x9y8z7",
    "auth": None,
    "use_auth": False,
    "compute_auth": False,
    "dsn_count": 3,
    "n_secrets": 2,
    "spatial": "q1w2",
    "stop": "Human:",
    "environment/packages/google-auth": "2.23.0",
    "packages/PyJWT": "2.8.0",
    "packages/SecretStorage": "3.3.3",
    "password": 3,
    "secret": 0.5,
    "pin": 4,
    "stop_tokens": "### Human:",
    "bos_token": "",
    "sep_token": "\n",
    "cls_token": "\u0120",
}
SECRET = {
    "api_key": "sk-12345678",
    "apiKey": "abc",
    "X-Api-Key": "abc",
    "OPENAI_API_KEY": "abc",
    "openai_key": "abc",
    "token": "abc",
    "hf_token": "hf_abcdefgh",
    "HF_TOKEN": "x",
    "session_token": "abc",
    "my_token": "Xf93kd0s",
    "password": "correct-horse",
    "dbPassword": "x",
    "PGPASSWORD": "hunter",
    "MYSQL_PWD": "hunter",
    "pass": "hunter",
    "db/password": "x",
    "trainer.api_key": "x",
    "credentials/user": "ann",
    "auth/0": "ann",
    "pin": 198273,
    "password_hash": "x1",
    "secret_value": "abc",
    "private_key_pem": "x",
    "passphrase": "a b",
    "aws_secret_access_key": "wJalr",
    "aws_access_key_id": "AK",
    "AccountKey": "abc=",
    "SharedAccessKey": "ab",
    "wandb_key": "0123",
    "key": "Sw0rdfish77",
    "tokens": "Sw0rdfish77",
    "session_key": "5f2b9c4e",
    "jwt": "abc",
    "dsn": "abc",
    "pat": "abc",
    "GITHUB_PAT": "abc",
    "cookie": "a=b",
    "authorization": "Bearer x",
    "webhook_url": "https://h/x",
    "slack_webhook": "https://h/x",
    "sas_token": "sv=2",
    "client_secret": "abcd",
}


@pytest.fixture(autouse=True)
def nothing_declared_or_reported(monkeypatch):
    monkeypatch.setattr(masking, "_readable", [])
    monkeypatch.setattr(masking, "_reported", set())


@pytest.mark.parametrize(("name", "value"), ORDINARY.items())
def test_ordinary_parameters_are_recorded_as_they_are(name, value):
    assert not is_secret(name, value)
    assert mask_recorded({name: value}) == ({name: value}, [])


@pytest.mark.parametrize(("name", "value"), SECRET.items())
def test_secrets_are_not(name, value):
    assert is_secret(name, value)
    assert mask_recorded({name: value}) == ({name: "***"}, [name])


def test_a_value_that_shows_by_its_form_is_hidden_under_any_name():
    values = {"comment": "use hf_abcdefABCDEF0123456789", "eos_token": "sk-proj-abcDEF0123456789xyz"}
    assert mask_recorded(values) == ({"comment": "use ***", "eos_token": "***"}, ["comment", "eos_token"])


@pytest.mark.parametrize(
    "value",
    [
        [{"name": "HF_TOKEN", "value": "Zq81XwCanary9"}],
        {"key": "X-Api-Key", "value": "Zq81XwCanary9"},
        [["X-Api-Key", "Zq81XwCanary9"]],
        ["HF_TOKEN=Zq81XwCanary9", "A=1"],
        ("password", "Zq81XwCanary9"),
        "DRIVER={x};UID=sa;PWD=Zq81XwCanary9",
        "GOCSPX-Zq81XwCanary9Zq81XwCanary9",
        "dp.st.dev.Zq81XwCanary9Zq81XwCanary9",
        "sk-proj-Zq81XwCanary9-Zq81XwCanary9",
    ],
)
def test_names_next_to_their_secrets(value):
    assert "Zq81XwCanary9" not in str(mask_recorded({"x": value}).values)


def test_names_that_are_declared_to_be_no_secrets():
    set_readable_names(["session_key", "probe_*"])
    values = {"session_key": "5f2b9c4e", "probe_token": "Xf93kd0s", "other_token": "Xf93kd0s"}
    assert mask_recorded(values).hidden == ["other_token"]
    assert mask({"probe_token": "Xf93kd0s"}) == {"probe_token": "Xf93kd0s"}


def test_masking_is_reported_once(caplog):
    for _ in range(2):
        report_masked(["a_token", "b_key"])
    report_masked(["b_key", "c_key"])
    assert [record.getMessage() for record in caplog.records] == [
        "parameters 'a_token', 'b_key' are recorded as \"***\", because they look like secrets; to record their values,"
        ' set not_secret = ["a_token", "b_key"] in tracelet.toml',
        "parameter 'c_key' is recorded as \"***\", because it looks like a secret; to record its value,"
        ' set not_secret = ["c_key"] in tracelet.toml',
    ]


@pytest.mark.parametrize(
    "text", ["val/loss", "input_ids", "gpt2", "1e-4", "labels", "train-v1", "80%", "300B", "a b"]
)
def test_ordinary_texts(text):
    assert is_ordinary(text)


@pytest.mark.parametrize(
    "text", ["Sw0rdfish77", "5f2b9c4e", "wJalrXUtnFEMI", "bcdfghjk", "x" * 90, "user:pass", "a=b"]
)
def test_texts_that_could_be_secrets(text):
    assert not is_ordinary(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plugins.sink.password: expected string, found 5 (integer)", None),
        ("unknown key 'tokn' (did you mean 'token'?)", None),
        ("api_key={api_key} and password=${DB_PASSWORD} and token=%s", None),
        ("if token == 'abc': pass", None),
        ("sk-learn-random-forest-classifier is fine; task-abcdef0123456789", None),
        ("Basic understanding of Token exceeded", None),
        ("password: hunter2", "password: ***"),
        ("Cookie: a=b; session=xyz", "Cookie: ***"),
        ("{'Cookie': 'a=b; session=xyz', 'x': 1}", "{'Cookie': '***', 'x': 1}"),
        ('tokens = ["Sw0rdfish77", "x"] rest', "tokens = *** rest"),
        ("keys=['image', 'label']", None),
        ("Server=x;Uid=a;Pwd=abc;Database=d", "Server=x;Uid=a;Pwd=***;Database=d"),
        ("machine h login me password secretpw", "machine h login me password ***"),
        (
            "Command '['x', '--password', 'hunter2']' returned 1",
            "Command '['x', '--password', '***']' returned 1",
        ),
        ("git+https://u:tok1X@example.org/team/repo@v1.2", "git+https://u:***@example.org/team/repo@v1.2"),
        ("postgres://u:Sw0rd@fish77/zz'x@db/y", "postgres://u:***@db/y"),
        ("ssh://git@github.com/x.git", None),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/***"),
        (json.dumps(json.dumps({"api_key": "abc", "n": 1})), r'"{\"api_key\": \"***\", \"n\": 1}"'),
    ],
)
def test_secrets_in_texts(text, shown):
    assert mask_text(text) == (text if shown is None else shown)


@given(st.text(max_size=200))
def test_masking_twice_changes_nothing_more(text):
    once = mask_text(text)
    assert mask_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 300_000, "key=" * 50_000, "://" * 60_000, "http://a:" * 20_000, "token: [" * 20_000),
        *('"' * 200_000, "-----BEGIN PRIVATE KEY-----" * 5_000, "sk-" * 60_000, "password " * 30_000),
        *("x='" * 60_000, "\\" * 100_000, "http://u:p@h/" * 10_000, "--token " * 20_000),
    ],
)
def test_the_time_is_linear(text):
    began = time.process_time()
    mask_text(text[: len(text) // 8])
    short = time.process_time() - began
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 24 * short + 0.5
