"""Who is told, and when not: what is wrong with that is refused at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.read import read_spec
from tests.contract.models_file import ONE, read
from tests.contract.test_read_refuses import places, problems


def quiet(hours: str) -> str:
    return f"teams: {{ml-platform: {{quiet_hours: {{{hours}}}}}}}\n{ONE}"


def maintenance(window: str) -> str:
    return f"maintenance: [{{{window}}}]\n{ONE}"


NIGHT = 'times: "22:00-07:00"'
REFUSED = {
    "hours that are none": (
        quiet("times: night"),
        (
            "1:44 teams.ml-platform.quiet_hours.times: is not a range of hours: 'night' "
            "| write 22:00-07:00"
        ),
    ),
    "an hour that no day has": (
        quiet('times: "22:00-25:00"'),
        (
            "1:44 teams.ml-platform.quiet_hours.times: has no such time of day: '22:00-25:00' "
            "| hours are 00:00 to 24:00"
        ),
    ),
    "a minute that no hour has": (
        quiet('times: "22:60-07:00"'),
        (
            "1:44 teams.ml-platform.quiet_hours.times: has no such time of day: '22:60-07:00' "
            "| hours are 00:00 to 24:00"
        ),
    ),
    "hours without length": (
        quiet('times: "07:00-07:00"'),
        (
            "1:44 teams.ml-platform.quiet_hours.times: ends when it begins: '07:00-07:00' "
            "| write 00:00-24:00 for the whole day"
        ),
    ),
    "quiet hours without hours": (
        quiet("weekdays: monday"),
        "1:23 teams.ml-platform.quiet_hours.times: is required",
    ),
    "a day that no week has": (
        quiet(f"{NIGHT}, weekdays: monday-freitag"),
        (
            "1:69 teams.ml-platform.quiet_hours.weekdays: is not a day of the week: 'freitag' "
            "| did you mean friday?"
        ),
    ),
    "a place that has no time zone": (
        quiet(f"{NIGHT}, location: Europe/Berlln"),
        (
            "1:69 teams.ml-platform.quiet_hours.location: is not a time zone: 'Europe/Berlln' "
            "| did you mean Europe/Berlin?"
        ),
    ),
    "a severity that does not exist": (
        quiet(f"{NIGHT}, severities: [warn]"),
        (
            "1:72 teams.ml-platform.quiet_hours.severities[0]: is not known: 'warn' "
            "| did you mean warning?"
        ),
    ),
    "a maintenance without a time zone": (
        maintenance("from: 2026-12-01T22:00, to: 2026-12-02T22:00Z"),
        (
            "1:22 maintenance[0].from: has no time zone: '2026-12-01T22:00' "
            "| write 2026-12-01T22:00Z, or 2026-12-01T22:00+01:00"
        ),
    ),
    "a maintenance of days": (
        maintenance("from: 2026-12-01T22:00Z, to: 2026-12-02"),
        (
            "1:45 maintenance[0].to: is not a time: '2026-12-02' "
            "| write 2026-12-01T22:00Z, or 2026-12-01T22:00+01:00"
        ),
    ),
    "a maintenance to the second": (
        maintenance("from: 2026-12-01T22:00:01Z, to: 2026-12-02T22:00Z"),
        (
            "1:22 maintenance[0].from: is not a whole minute: '2026-12-01T22:00:01Z' "
            "| Alertmanager counts in minutes"
        ),
    ),
    "a maintenance that ends before it begins": (
        maintenance("from: 2026-12-02T22:00Z, to: 2026-12-02T22:00+01:00"),
        "1:15 maintenance[0]: ends before it begins | swap from and to",
    ),
    "a maintenance of a model that does not exist": (
        maintenance("models: [b], from: 2026-12-01T22:00Z, to: 2026-12-02T22:00Z"),
        "1:25 maintenance[0].models[0]: no model is called b | name models of this file",
    ),
    "a webhook that is no address": (
        "teams: {ml-platform: {webhook: {url: example.com}}}\n" + ONE,
        (
            "1:38 teams.ml-platform.webhook.url: is not an address: 'example.com' "
            "| write https://example.com/path"
        ),
    ),
    "a password in an address": (
        'deadman: {url: "https://me:secret@example.com/ping"}\n' + ONE,
        "1:16 deadman.url: holds a user or password | put the secret into a file: token_file",
    ),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_is_refused_at_its_place_with_a_suggestion(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert places(problems(tmp_path, text)) == [expected]


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("")
    text = 'teams: {ml-platform: {slack: {channel: "#x", webhook_file: hook}}}\n' + ONE
    assert places(problems(tmp_path, text)) == [
        "1:60 teams.ml-platform.slack.webhook_file: is empty: hook | write the secret into it"
    ]


def test_a_key_of_opsgenie_with_a_line_break_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n")
    text = "teams: {ml-platform: {opsgenie: {api_key_file: key}}}\n" + ONE
    assert places(problems(tmp_path, text)) == [
        (
            "1:48 teams.ml-platform.opsgenie.api_key_file: holds white space around the secret: "
            "key | write it without a line break: printf %s KEY > FILE"
        )
    ]
    (tmp_path / "key").write_text("abc")
    assert read_spec(tmp_path / "models.yaml").teams["ml-platform"].opsgenie


def test_secrets_are_not_looked_at_where_files_may_be_missing(tmp_path: Path) -> None:
    text = "teams: {ml-platform: {opsgenie: {api_key_file: key}}}\n" + ONE
    (tmp_path / "models.yaml").write_text(text)
    assert read_spec(tmp_path / "models.yaml", files=False).teams["ml-platform"].opsgenie


def test_what_is_left_out_of_a_maintenance_is_everything(tmp_path: Path) -> None:
    spec = read(tmp_path, maintenance("from: 2026-12-01T22:00Z, to: 2026-12-02T22:00Z"))
    assert spec.maintenance[0].models == ()
