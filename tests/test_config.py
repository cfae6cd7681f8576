"""Settings: sources in their order, and every complaint at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from naq.config import FIELDS, Settings, load_settings
from naq.exceptions import ConfigError


def test_defaults_use_the_embedded_server() -> None:
    settings = load_settings({}, environment={})
    assert settings.embedded
    assert settings.namespace == "naq"
    assert settings.instance_id.count("-") >= 2


def test_explicit_wins_over_file_over_environment(tmp_path: Path) -> None:
    file = tmp_path / "naq.toml"
    file.write_text('[naq]\nnamespace = "file"\npriority = 5\n')
    environment = {"NAQ_NAMESPACE": "environment", "NAQ_PRIORITY": "3", "NAQ_CONCURRENCY": "7", "OTHER": "x"}
    settings = load_settings({"namespace": "explicit"}, file=file, environment=environment)
    assert (settings.namespace, settings.priority, settings.concurrency) == ("explicit", 5, 7)


def test_none_means_not_given() -> None:
    assert load_settings({"namespace": None}, environment={"NAQ_NAMESPACE": "e"}).namespace == "e"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"nats_url": "nats://a:1,b:2"}, {"nats_url": ("nats://a:1", "b:2")}),
        ({"nats_url": ["tls://a"]}, {"nats_url": ("tls://a",)}),
        ({"queues": "mail, default"}, {"queues": ("mail", "default")}),
        ({"leader_lease": 7}, {"leader_lease": 7.0}),
        ({"priority": "12"}, {"priority": 12}),
        ({"allow_pickle": "true"}, {"allow_pickle": True}),
        ({"log_level": "debug"}, {"log_level": "DEBUG"}),
        ({"data_dir": Path("/var/lib/naq")}, {"data_dir": Path("/var/lib/naq")}),
    ],
)
def test_forms_of_values(given: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = load_settings(given, environment={})
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"nats_ulr": "x"}, ["nats_ulr", "did you mean 'nats_url'"]),
        ({"zzz": 1}, ["zzz", "there is no such key"]),
        ({"priority": -1}, ["priority = -1", "must not be negative", "for example priority = 10"]),
        ({"priority": "high"}, ["priority = 'high'"]),
        ({"leader_heartbeat_interval": 0}, ["must be more than 0"]),
        ({"leader_lease": 1.5}, ["at least twice leader_heartbeat_interval"]),
        ({"namespace": "a.b"}, ["namespace = 'a.b'", "letters, digits"]),
        ({"replicas": 2}, ["must be 1, 3 or 5"]),
        ({"nats_url": "http://h"}, ["scheme 'http'"]),
        ({"nats_url": "nats://h:99999999"}, ["port"]),
        ({"tls_cert": "c.pem"}, ["tls_key", "go together"]),
        ({"nats_password": "x"}, ["nats_user", "needs a user"]),
        ({"queues": "a b"}, ["queue 'a b'"]),
        ({"concurrency": float("nan")}, ["concurrency"]),
        ({"log_level": "LOUD"}, ["DEBUG, INFO, WARNING or ERROR"]),
        ({"fire_batch": 600}, ["1 to 490"]),
    ],
)
def test_complaints_name_field_value_and_example(given: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(given, environment={})
    for part in parts:
        assert part in str(caught.value)
    assert "for example" in str(caught.value)


def test_all_complaints_come_at_once(tmp_path: Path) -> None:
    file = tmp_path / "naq.toml"
    file.write_text('[naq]\npriority = -1\nnamspace = "x"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings({"replicas": 2}, file=file, environment={"NAQ_CONCURRENCY": "many"})
    assert {problem.field for problem in caught.value.problems} == {"priority", "namspace", "replicas", "concurrency"}


@pytest.mark.parametrize(("text", "part"), [("[naq\n", "it is not TOML"), (None, "cannot be read")])
def test_a_bad_file_is_a_complaint(tmp_path: Path, text: str | None, part: str) -> None:
    file = tmp_path / "naq.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=part):
        load_settings({}, file=file, environment={})


def test_every_key_is_documented_and_its_example_is_valid() -> None:
    for name, declared in FIELDS.items():
        assert declared.metadata["doc"], name
        needs = {"tls_cert": {"tls_key": "k"}, "tls_key": {"tls_cert": "c"}, "nats_password": {"nats_user": "u"}}
        given = {name: declared.metadata["example"], **needs.get(name, {})}
        assert isinstance(load_settings(given, environment={}), Settings), name
