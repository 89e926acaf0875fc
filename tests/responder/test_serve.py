"""The responder as a process: what comes in is written, counted, shown and never lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import ROOT, eventually
from tests.responder.conftest import START, Served, alert, payload

EXPECTED_LINE = {
    "level": "error",
    "component": "responder",
    "event": "notification",
    "schema_version": 1,
    "status": "firing",
    "alertname": "HighErrorRatio",
    "severity": "critical",
    "team": "risk",
    "model": "fraud",
    "version": "1.10",
    "value": 0.07,
    "threshold": 0.05,
    "summary": "fraud 1.10 fails 7% of its requests",
    "description": "Of the requests, 7% failed.",
    "starts_at": "2026-10-01T10:00:00.123457Z",
    "ends_at": None,
    "fingerprint": "c0ffee",
    "group_key": '{}:{alertname="HighErrorRatio"}',
    "receiver": "log",
    "labels": {"region": "eu"},
    "annotations": {"ticket": "OPS-1"},
    "links": {
        "runbook": "http://127.0.0.1:9104/runbooks/HighErrorRatio",
        "dashboard": "http://127.0.0.1:3000/d/model",
        "generator": "http://127.0.0.1:9090/graph?g0.expr=up",
    },
}


def test_an_alert_becomes_one_line_in_the_log_and_on_standard_output(start: START) -> None:
    with start() as served:
        answer = served.post(alert())
        assert (answer.status_code, answer.json()) == (200, {"received": 1})
        [line] = served.lines()
        assert next(iter(line)) == "time"
        assert {key: line[key] for key in line if key != "time"} == EXPECTED_LINE
        assert list(line)[1:] == list(EXPECTED_LINE), "the order of the fields is stable too"
        assert json.loads(served.running.stdout.read_text()) == line


def test_a_resolved_alert_says_when_it_ended(start: START) -> None:
    with start() as served:
        served.post(alert(status="resolved", endsAt="2026-10-01T11:00:00Z"))
        [line] = served.lines()
        assert (line["status"], line["level"]) == ("resolved", "info")
        assert line["ends_at"] == "2026-10-01T11:00:00Z"


def test_every_alert_of_a_call_is_its_own_line_in_order(start: START) -> None:
    with start() as served:
        served.post(*(alert(fingerprint=f"{number:02}") for number in range(50)))
        assert [line["fingerprint"] for line in served.lines()] == [f"{n:02}" for n in range(50)]


def test_text_of_any_kind_stays_one_line(start: START) -> None:
    summary = 'line\nbreak "quoted" \u2028 snowman ☃ \x00 </pre><script>'
    with start() as served:
        assert served.post(alert(annotations={"summary": summary})).status_code == 200
        [line] = served.lines()
        assert line["summary"] == summary
        page = served.web.get("/v1/notifications", headers={"Accept": "text/html"}).text
        assert "<script>" not in page


def test_fields_of_a_newer_alertmanager_are_ignored(start: START) -> None:
    with start() as served:
        answer = served.post(alert(newField={"a": 1}), another=[1, 2])
        assert answer.status_code == 200
        assert len(served.lines()) == 1


def test_an_alert_without_our_labels_is_still_written(start: START) -> None:
    with start() as served:
        served.post(alert(labels={"alertname": "Disk", "severity": "page"}, annotations={}))
        [line] = served.lines()
        assert (line["severity"], line["model"], line["value"]) == ("page", "", None)
        assert served.metrics()["ml_notifications_total firing other"] == 1


def test_a_value_is_a_number_in_base_units_however_it_is_shown(start: START) -> None:
    shown = {
        "0.07": 0.07,
        "1.2e+03": 1200,
        "7.25%": 0.0725,
        "0%": 0,
        "250ms": 0.25,
        "1.5s": 1.5,
        "15m 9s": 909,
        "1d 0h 0m 1s": 86401,
        "-1m 30s": -90,
    }
    with start() as served:
        served.post(*(alert(annotations={"value": text, "threshold": text}) for text in shown))
        lines = served.lines()
        assert [line["value"] for line in lines] == pytest.approx(list(shown.values()))
        assert [line["threshold"] for line in lines] == [line["value"] for line in lines]
        assert [line["annotations"] for line in lines] == [{}] * len(shown)


def test_a_value_that_is_no_number_stays_an_annotation(start: START) -> None:
    texts = ("unknown", "NaN", "+Inf", "nan%", "about 3", "5 m", "1.2.3s", "%")
    with start() as served:
        served.post(*(alert(annotations={"value": text}) for text in texts))
        found = [(line["value"], line["annotations"]) for line in served.lines()]
        assert found == [(None, {"value": text}) for text in texts]


REFUSED: dict[str, tuple[bytes, str]] = {
    "an empty body": (b"", ""),
    "half a JSON document": (b'{"alerts": [', ""),
    "a list": (b"[]", ""),
    "no alerts": (b"{}", "alerts"),
    "alerts that are no list": (b'{"alerts": {}}', "alerts"),
    "not UTF-8": (b'{"alerts": [], "receiver": "\xff"}', ""),
    "half of a surrogate pair": (b'{"alerts": [], "receiver": "\\ud800"}', ""),
    "brackets without end": (b'{"x":' + b"[" * 200_000, ""),
    "an unknown status": (
        json.dumps(payload(alert(), alert(status="suppressed"))).encode(),
        "alerts[1].status",
    ),
    "a label that is a number": (
        json.dumps(payload(alert(labels={"alertname": 5}))).encode(),
        "alerts[0].labels[...]",
    ),
    "an alert without its start": (
        json.dumps(
            payload({key: value for key, value in alert().items() if key != "startsAt"})
        ).encode(),
        "alerts[0].startsAt",
    ),
    "a time without a zone": (
        json.dumps(payload(alert(startsAt="2026-10-01T12:00:00"))).encode(),
        "alerts[0].startsAt",
    ),
}


def test_a_body_that_is_no_notification_is_refused_counted_and_changes_nothing_else(
    start: START,
) -> None:
    with start() as served:
        before = served.metrics()
        for sentence, (body, field) in REFUSED.items():
            answer = served.web.post("/v1/alertmanager", content=body)
            assert answer.status_code == 400, sentence
            assert answer.json()["field"] == field, sentence
            assert answer.json()["error"].startswith(field), sentence
        after = served.metrics()
        changed = {key for key in after if after[key] != before.get(key)}
        assert {key for key in changed if not key.startswith("ml_exporter_")} == {
            "ml_notifications_failed_total decode"
        }
        assert after["ml_notifications_failed_total decode"] == len(REFUSED)
        assert served.lines() == []
        assert "notification_refused" in served.running.stderr.read_text()


def test_every_known_series_is_0_from_the_start(start: START) -> None:
    with start() as served:
        metrics = served.metrics()
    for status in ("firing", "resolved"):
        for severity in ("info", "warning", "error", "critical", "other"):
            assert metrics[f"ml_notifications_total {status} {severity}"] == 0
    assert metrics["ml_notifications_failed_total decode"] == 0
    assert metrics["ml_notifications_failed_total write"] == 0
    assert metrics["ml_exporter_collection_success responder"] == 1


@pytest.mark.parametrize("place", ["a full disk", "a path under a file"])
def test_a_log_that_cannot_be_written_is_a_500_so_that_alertmanager_tries_again(
    start: START, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    log = Path("/dev/full") if place == "a full disk" else tmp_path / "file" / "log.jsonl"
    with start(log=log) as served:
        answer = served.post(alert())
        assert answer.status_code == 500
        assert str(log) in answer.json()["error"]
        metrics = served.metrics()
        assert metrics["ml_notifications_failed_total write"] == 1
        assert metrics["ml_notifications_total firing critical"] == 0
        assert served.web.get("/readyz").status_code == 503
        assert served.web.get("/v1/notifications").json() == {"notifications": []}


def test_a_log_that_can_be_written_again_is_written_again(start: START, tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with start(log=tmp_path / "folder" / "log.jsonl") as served:
        assert served.post(alert()).status_code == 500
        (tmp_path / "folder").unlink()
        assert served.post(alert()).status_code == 200
        assert len(served.lines()) == 1
        assert served.web.get("/readyz").status_code == 200


def test_two_responders_do_not_write_one_log(start: START) -> None:
    with start() as first, start() as second:
        assert second.post(alert()).status_code == 500
        assert "another process" in second.post(alert()).json()["error"]
        assert first.post(alert()).status_code == 200


def test_the_last_ones_are_shown_newest_first_and_can_be_chosen(start: START) -> None:
    with start() as served:
        served.post(alert(fingerprint="1"))
        served.post(alert(fingerprint="2", status="resolved"))
        served.post(alert(fingerprint="3", labels={"model_name": "churn"}))
        shown = {
            query: [n["fingerprint"] for n in _notifications(served, query)]
            for query in ("", "limit=1", "model=fraud", "status=resolved", "model=fraud&limit=1")
        }
    assert shown == {
        "": ["3", "2", "1"],
        "limit=1": ["3"],
        "model=fraud": ["2", "1"],
        "status=resolved": ["2"],
        "model=fraud&limit=1": ["2"],
    }


def _notifications(served: Served, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.web.get(f"/v1/notifications?{query}").json()[
        "notifications"
    ]
    return found


def test_a_wrong_question_is_refused_and_names_the_field(start: START) -> None:
    wrong = {"limit=0": "limit", "limit=x": "limit", "status=odd": "status", "modle=a": "modle"}
    with start() as served:
        answers = {query: served.web.get(f"/v1/notifications?{query}") for query in wrong}
    assert {query: answer.status_code for query, answer in answers.items()} == dict.fromkeys(
        wrong, 400
    )
    assert {query: answer.json()["field"] for query, answer in answers.items()} == wrong


def test_a_browser_gets_a_table_without_links_to_scripts(start: START) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    with start() as served:
        assert "None yet" in served.web.get("/v1/notifications", headers=browser).text
        links = {"runbook_url": "javascript:alert(1)", "dashboard_url": 'http://a/"onclick=x'}
        served.post(alert(annotations={"summary": "a < b & c", **links}))
        answer = served.web.get("/v1/notifications", headers=browser)
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "a &lt; b &amp; c" in answer.text
        assert "javascript:" not in answer.text
        assert 'href="http://a/&quot;onclick=x"' in answer.text


def test_after_a_restart_the_last_ones_come_from_the_log(start: START) -> None:
    with start() as served:
        for number in range(5):
            served.post(alert(fingerprint=str(number)))
    with start() as served:
        served.post(alert(fingerprint="5"))
        assert [n["fingerprint"] for n in _notifications(served, "limit=3")] == ["5", "4", "3"]


def test_killed_in_the_middle_of_it_all_the_log_holds_whole_lines_and_all_that_was_answered(
    start: START,
) -> None:
    answered: list[str] = []

    def post(served: Served, name: str) -> None:
        with httpx.Client(base_url=served.url, trust_env=False) as web:
            for number in range(10_000):
                fingerprint = f"{name}-{number}"
                try:
                    body = payload(*[alert(fingerprint=fingerprint)] * 5)
                    if web.post("/v1/alertmanager", json=body).status_code == 200:
                        answered.append(fingerprint)
                except httpx.TransportError:
                    return

    with start() as served:
        threads = [threading.Thread(target=post, args=(served, f"t{n}")) for n in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(answered) > 30)
        served.running.kill()
        for thread in threads:
            thread.join()
        log = served.log.read_bytes()
        assert log.endswith(b"\n")
        written = [json.loads(line)["fingerprint"] for line in log.splitlines()]
        assert set(answered) <= set(written)
    with start() as served:
        assert served.post(alert()).status_code == 200
        assert len(served.lines()) == len(written) + 1


def test_a_full_standard_output_is_counted_and_loses_nothing(start: START) -> None:
    with start(stdout="/dev/full") as served:
        assert served.post(alert()).status_code == 200
        assert served.post(alert()).status_code == 200
        assert len(served.lines()) == 2
        assert served.metrics()["ml_exporter_errors_total responder stdout"] == 2


def test_at_a_terminal_standard_output_is_readable(start: START) -> None:
    with start("--log-format", "console") as served:
        served.post(alert())
        shown = served.running.stdout.read_text()
        assert "critical HighErrorRatio fraud 1.10: 'fraud 1.10 fails 7%" in shown
        assert len(served.lines()) == 1


def test_it_stops_with_status_0(start: START) -> None:
    with start() as served:
        assert served.running.stop() == 0


WRONG_OPTIONS = {
    "an address without a port": (["--listen", "here"], "cannot listen on here"),
    "a size that is no number": (["--log-size", "big"], "whole number of 1 or more, got big"),
    "an unknown option": (["--lock", "x"], "unrecognized arguments: --lock x"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_bad_options_end_with_2_and_say_what_is_wrong(
    options: list[str], message: str, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "responder", "serve", "--log", str(tmp_path / "log"), *options]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_help_teaches_with_an_example() -> None:
    argv = [sys.executable, "-m", "responder", "serve", "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "python -m responder serve --models models.yaml" in done.stdout
