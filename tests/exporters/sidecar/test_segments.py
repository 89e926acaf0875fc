"""Outcomes by segment: how a segment travels with its prediction, and where it counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.spec import Model
from exporters.sidecar.event import Event, Label
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.log.sqlite import SqliteLog
from exporters.sidecar.log.work import Part, Work
from exporters.sidecar.segments import Segments, part, together
from exporters.sidecar.tally import Tally
from tests.exporters.sidecar.serving import classifier_profile, regressor_profile

scores = st.one_of(st.floats(0, 1), st.just(float("nan")))


def layout(*segments: str) -> Layout:
    model = {"name": "mail", "version": "1", "task": "binary_classification"}
    return Layout.of(Model.model_validate({**model, "segments": segments}), classifier_profile())


@given(st.lists(st.tuples(scores, st.integers(0, 1_000_000)), min_size=1))
def test_a_score_and_its_segment_are_one_number(found: list[tuple[float, int]]) -> None:
    given_scores = np.array([score for score, _ in found])
    codes = np.array([float(code) for _, code in found])
    apart, segments = part(together(given_scores, codes))
    assert segments.tolist() == codes.tolist()
    assert apart == pytest.approx(given_scores, abs=1e-9, nan_ok=True)


@given(scores)
def test_what_was_kept_before_there_were_segments_is_of_none(score: float) -> None:
    apart, segments = part(np.array([score]))
    assert segments.tolist() == [0]
    assert apart.tolist() == pytest.approx([score], abs=0, nan_ok=True)


ROWS: dict[str, tuple[dict[str, object] | None, list[int]]] = {
    "two categories": ({"sender": "fr", "reply": False}, [1, 0]),
    "a category that nobody knows": ({"sender": "xx", "reply": True}, [3, 1]),
    "one that is missing": ({"reply": True}, [-1, 1]),
    "one that is null": ({"sender": None, "reply": True}, [-1, 1]),
    "no features at all": (None, [-1, -1]),
}


@pytest.mark.parametrize(("row", "places"), ROWS.values(), ids=ROWS)
def test_a_segment_is_the_category_of_each_feature(
    row: dict[str, object] | None, places: list[int]
) -> None:
    segments = Segments.of(layout("sender", "reply"))
    found = segments.places(segments.codes([row]))
    assert [own.tolist() for own in found] == [[place] for place in places]


def test_only_categories_of_the_profile_make_segments() -> None:
    own = layout("length", "sender", "nothing")
    assert [name for name, _ in Segments.of(own).names] == ["sender"]
    assert [note for note in own.notes if note.startswith("segments")] == [
        "segments: length is no categorical feature of the profile",
        "segments: nothing is no categorical feature of the profile",
    ]
    plain = Model.model_validate({"name": "m", "version": "1", "task": "regression",
                                  "segments": ["area"]})  # fmt: skip
    assert Segments.of(Layout.of(plain, regressor_profile())).names == ()


def commits(folder: Path, intake: Intake) -> Commits:
    log = SqliteLog(folder, retention=1e9, max_size=10**9, ttl=1e9, wait=1.0)
    made = Commits(log, intake.versions)
    made.open()
    return made


def test_a_label_counts_in_the_segment_of_its_prediction_even_after_a_restart(
    tmp_path: Path,
) -> None:
    own = layout("sender")
    intake = Intake([own])
    running = commits(tmp_path, intake)
    events = [
        Event("mail", prediction_id=str(n), prediction="ham", confidence=0.9,
              features={"sender": sender})
        for n, sender in enumerate(("de", "fr", "xx", None))
    ]  # fmt: skip
    running.submit(Work([Part(0, events)]))
    running._store.close()

    again = Intake([own])
    restarted = commits(tmp_path, again)
    labels = [Label("mail", "spam", prediction_id=str(n)) for n in range(4)]
    restarted.submit(Work((), [(0, labels)]))
    counts = again.tallies[0].counts
    restarted._store.close()
    assert counts.outcomes[0, 1] == 4
    # de, fr, it, other: what had no sender is in none of them.
    assert counts.segment_outcomes[0][:, 0, 1].tolist() == [1, 1, 0, 1]
    assert counts.outcome_scores[1].counts.sum() == 4
    assert counts.outcome_scores[1].total == pytest.approx(0.4)


def test_other_segments_begin_anew() -> None:
    tally = Tally(layout("sender"))
    assert not tally.follow(layout("reply"))
    assert not tally.follow(layout())
    assert tally.follow(layout("sender"))
    assert Tally(layout()).follow(layout("sender"))
