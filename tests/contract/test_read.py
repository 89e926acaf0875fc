"""Reading models.yaml: what is taken, and how defaults lie over each other."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contract.profile import build_profile, write_profile
from contract.quantity import Duration
from contract.read import read_spec
from tests.contract.models_file import MODEL, ONE, read, with_model


def test_three_keys_are_enough_and_the_rest_is_the_built_in_default(tmp_path: Path) -> None:
    spec = read(tmp_path, ONE)
    [model] = spec.models
    assert (model.name, model.version, model.task) == ("a", "1", "regression")
    assert model.team == "ml-platform"
    assert model.serving.targets == ("127.0.0.1:9101",)
    assert model.slo.availability == 0.999
    [latency] = model.slo.latency
    assert (latency.threshold, latency.target) == (Duration.parse("250ms"), 0.99)
    assert (model.drift.warning, model.drift.critical) == (0.1, 0.25)
    assert (model.profile, model.trained_at, model.alerts) == (None, None, {})


TEXT_THAT_OTHER_YAML_MISREADS: dict[str, tuple[str, str]] = {
    "a version that looks like a date": ("version", "2026-10-01"),
    "a version with two dots": ("version", "1.10.0"),
    "a framework called no": ("framework", "no"),
    "a framework that looks octal": ("framework", "0o17"),
    "a framework that looks like a time": ("framework", "12:30:45"),
    "a framework with an underscore in digits": ("framework", "1_000"),
}


@pytest.mark.parametrize(
    ("key", "text"),
    TEXT_THAT_OTHER_YAML_MISREADS.values(),
    ids=TEXT_THAT_OTHER_YAML_MISREADS,
)
def test_a_plain_scalar_means_what_it_looks_like(tmp_path: Path, key: str, text: str) -> None:
    keys = {"name": "a", "version": '"1"', "task": "regression", key: text}
    written = "".join(f"    {name}: {value}\n" for name, value in keys.items())
    [model] = read(tmp_path, f"models:\n  -\n{written}").models
    assert getattr(model, key) == text


SWITCHES = {"off": False, '"off"': False, "false": False, "on": True, "true": True}


@pytest.mark.parametrize(("written", "enabled"), SWITCHES.items())
def test_off_and_on_switch_an_alert(tmp_path: Path, written: str, enabled: bool) -> None:
    [model] = read(tmp_path, with_model(f"alerts: {{TargetDown: {written}}}")).models
    assert model.alerts["TargetDown"].enabled is enabled


TIMES = {
    "2026-10-01": dt.datetime(2026, 10, 1, tzinfo=dt.UTC),
    "2026-10-01T12:00:00Z": dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC),
    "2026-10-01T12:00:00+02:00": dt.datetime(2026, 10, 1, 10, tzinfo=dt.UTC),
    "2026-10-01 12:00": dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC),
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items(), ids=TIMES)
def test_a_date_is_its_midnight_in_utc_and_a_time_keeps_its_zone(
    tmp_path: Path, text: str, expected: dt.datetime
) -> None:
    [model] = read(tmp_path, with_model(f'trained_at: "{text}"')).models
    assert model.trained_at == expected


def test_anchors_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    text = """\
models:
  - &first
    name: a
    version: "1"
    task: regression
    slo: &slo {availability: 99%}
  - <<: *first
    version: "2"
  - <<: [{task: regression, team: ml-platform}, {task: binary_classification, name: c}]
    version: "3"
    slo: *slo
"""
    first, second, third = read(tmp_path, text).models
    assert (second.name, second.version, second.slo) == ("a", "2", first.slo)
    assert (third.name, third.task, third.slo.availability) == ("c", "regression", 0.99)


@pytest.mark.parametrize(
    "text", [ONE.replace("\n", "\r\n"), "\ufeff" + ONE, "%YAML 1.2\n---\n" + ONE, ONE + "...\n"]
)
def test_line_ends_marks_and_directives_do_not_matter(tmp_path: Path, text: str) -> None:
    assert len(read(tmp_path, text).models) == 1


def test_a_model_lies_over_defaults_which_lie_over_the_built_in_values(tmp_path: Path) -> None:
    text = """\
defaults:
  team: risk
  slo: {availability: 99%, latency: {threshold: 1s}}
  drift: {warning: 0.2, window: 2h}
  alerts: {HighErrorRatio: {threshold: 1%, for: 10m}, FeatureDrift: off}
teams: {risk: {}, ads: {}}
stack: {sidecar: "127.0.0.1:9201"}
models:
  - {name: plain, version: "1", task: regression}
  - name: own
    version: "1"
    task: regression
    team: ads
    slo: {availability: 99.5%}
    drift: {window: 30m}
    serving: {targets: ["host-1:9101", "host-2:9101"]}
    alerts: {HighErrorRatio: {threshold: 2%}, FeatureDrift: on, TargetDown: off}
"""
    plain, own = read(tmp_path, text).models
    assert (plain.team, own.team) == ("risk", "ads")
    assert (plain.slo.availability, own.slo.availability) == (0.99, 0.995)
    # What neither says comes from below: defaults here, the built-in window there.
    assert own.slo.latency == plain.slo.latency != ()
    assert str(own.slo.window) == "30d"
    assert (plain.drift.warning, own.drift.warning, own.drift.critical) == (0.2, 0.2, 0.25)
    assert (str(plain.drift.window), str(own.drift.window)) == ("2h", "30m")
    assert plain.serving.targets == ("127.0.0.1:9201",)
    assert own.serving.targets == ("host-1:9101", "host-2:9101")
    ratio = own.alerts["HighErrorRatio"]
    assert (ratio.threshold, ratio.hold) == (0.02, Duration.parse("10m"))
    assert not plain.alerts["FeatureDrift"].enabled
    assert own.alerts["FeatureDrift"].enabled
    assert not own.alerts["TargetDown"].enabled
    assert "TargetDown" not in plain.alerts


def test_a_list_of_promises_replaces_the_default_as_a_whole(tmp_path: Path) -> None:
    promises = "slo: {latency: [{threshold: 50ms, target: 50%}, {threshold: 2s, target: 99.9%}]}"
    [model] = read(tmp_path, with_model(promises)).models
    assert [(str(pair.threshold), pair.quantile) for pair in model.slo.latency] == [
        ("50ms", "p50"),
        ("2s", "p999"),
    ]
    [none] = read(tmp_path, with_model("slo: {latency: []}")).models
    assert none.slo.latency == ()


def test_addresses_and_the_time_scale_hold_for_one_run(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ONE)
    addresses = {"sidecar": "127.0.0.1:1", "gpu": "127.0.0.1:2"}
    spec = read_spec(tmp_path / "models.yaml", time_scale=60, addresses=addresses)
    assert (spec.stack.sidecar, spec.stack.gpu) == ("127.0.0.1:1", ("127.0.0.1:2",))
    assert spec.models[0].serving.targets == ("127.0.0.1:1",)
    assert str(spec.clock(Duration.parse("5m"))) == "5s"
    assert str(spec.models[0].slo.window) == "30d", "the promise itself stays what it is"


def test_a_model_is_found_by_name_and_the_last_version_wins(tmp_path: Path) -> None:
    text = ONE + MODEL.replace('"1"', '"2"')
    spec = read(tmp_path, text)
    assert spec.model("a", "1") is spec.models[0]
    assert spec.model("a") is spec.models[1]
    assert spec.model("a", "3") is spec.model("b") is None


def test_files_are_found_from_the_folder_of_models_yaml(tmp_path: Path) -> None:
    profile = build_profile({"x": [1.0, 2.0]}, model_name="a")
    write_profile(profile, tmp_path / "profiles/a.json")
    spec = read(tmp_path, with_model("profile: profiles/a.json"))
    assert spec.models[0].profile == "profiles/a.json"
    assert spec.path("profiles/a.json") == tmp_path / "profiles/a.json"


def test_what_builds_a_profile_can_read_a_file_that_already_names_it(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(with_model("profile: profiles/none.json"))
    assert read_spec(tmp_path / "models.yaml", files=False).models[0].profile is not None


def test_a_thousand_models_are_read(tmp_path: Path) -> None:
    text = "models:\n" + "".join(MODEL.replace("name: a", f"name: m{n}") for n in range(1_000))
    assert len(read(tmp_path, text).models) == 1_000
