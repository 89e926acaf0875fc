"""Which scenarios go on at once, and what is made of what came."""

from __future__ import annotations

import io

import pytest

from contract import catalog
from gameday.display import Display
from gameday.injections import Down, Mend, Together
from gameday.reach import at_once
from gameday.report import failed, render_json, render_markdown, render_text
from gameday.run import Outcome, Result, Verdict, may_start
from gameday.scenario import Expected, Scenario
from gameday.watch import FalseAlarm

EXPECTED = Expected(
    alert="HighErrorRatio",
    severity="critical",
    model="risk",
    seen_in=catalog.INFERENCE_REQUESTS,
    reach=at_once,
)


def scenario(name: str, *touches: str, alone: bool = False, needs: float = 0.0) -> Scenario:
    return Scenario(
        name=name,
        says="something",
        injection=Down("nothing"),
        touches=frozenset(touches),
        expects=(EXPECTED,),
        alone=alone,
        needs=needs,
    )


ONE = scenario("one", "risk")
SAME = scenario("same", "risk", "platform")
OTHER = scenario("other", "screening")
ALONE = scenario("alone", "platform", alone=True)
LATER = scenario("later", "progression", needs=60)


@pytest.mark.parametrize(
    ("about", "busy", "waiting", "may"),
    [
        (ONE, [], [ONE, OTHER], True),
        (OTHER, [ONE], [OTHER], True),
        (SAME, [ONE], [SAME], False),
        (SAME, [], [ONE, SAME], False),
        (ALONE, [OTHER], [ALONE], False),
        (ALONE, [], [LATER, ALONE], False),
        (ALONE, [], [ALONE], True),
        (OTHER, [ALONE], [OTHER], False),
        (LATER, [], [LATER], False),
    ],
    ids=[
        "the first one starts",
        "another model's goes on beside it",
        "one of the same model waits",
        "and does not overtake it",
        "what breaks what all share waits for the others",
        "and for all that comes before it",
        "then it starts",
        "nothing goes on beside it",
        "what needs a past waits for it",
    ],
)
def test_scenarios_go_on_together_where_they_touch_nothing_together(
    about: Scenario, busy: list[Scenario], waiting: list[Scenario], may: bool
) -> None:
    assert may_start(about, busy, waiting, uptime=30.0) is may


def result(verdict: Verdict, taken: float | None = 8.0) -> Result:
    outcome = Outcome("one", EXPECTED, "clinic", possible=8.0, taken=taken, verdict=verdict)
    return Result(ONE, [outcome])


ALARM = FalseAlarm(
    {"alertname": "GpuHot", "severity": "warning", "model_name": "risk"}, "research", 12.0, ("one",)
)


@pytest.mark.parametrize("verdict", ["slow", "missed", "not resolved"])
def test_an_alert_that_is_not_as_it_should_be_fails_the_game_day(verdict: Verdict) -> None:
    assert not failed([result("ok")], [])
    assert failed([result("ok"), result(verdict)], [])


def test_a_false_alarm_and_a_scenario_that_cannot_be_run_fail_it_too() -> None:
    assert failed([result("ok")], [ALARM])
    assert failed([Result(ONE, error="TimeoutError: no calm")], [])


def test_the_table_says_what_came_where_and_how_fast() -> None:
    text = render_text([result("ok"), result("missed", None)], [ALARM], seconds=90)
    head, *rows = text.strip().splitlines()
    assert head.split() == [
        "SCENARIO",
        "ALERT",
        "SEVERITY",
        "OF",
        "RECEIVER",
        "POSSIBLE",
        "TAKEN",
        "RATIO",
        "RESOLVED",
        "VERDICT",
    ]
    assert rows[0].split()[-6:] == ["8.0", "s", "8.0", "s", "1.00", "ok"]
    assert rows[1].split()[-1] == "missed"
    assert "false alarm: GpuHot (warning) of risk at research" in rows
    assert rows[-1] == (
        "2 scenarios, 1 of 2 alerts as they should be, 1 false alarms, in 1.5 minutes."
    )
    assert "| one | HighErrorRatio | critical | risk | clinic |" in render_markdown(
        [result("ok")], [], seconds=1
    )


def test_the_json_holds_all_of_it() -> None:
    found = render_json([result("ok")], [ALARM], seconds=90, time_scale=30)
    assert found["passed"] is False
    assert found["scenarios"][0]["alerts"][0]["ratio"] == 1.0
    assert found["false_alarms"][0]["during"] == ["one"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_lines_and_a_terminal_a_block_that_is_drawn_anew() -> None:
    pipe, terminal = io.StringIO(), _Terminal()
    for stream in (pipe, terminal):
        display = Display(stream)
        display.say("error burst: half of the requests fail")
        display.show({"error burst": "0 of 2 told"}, "0 of 1 scenarios done")
        display.say("error burst: HighErrorRatio after 8 s")
        display.close()
    assert pipe.getvalue().splitlines() == [
        " 0:00  error burst: half of the requests fail",
        " 0:00  error burst: HighErrorRatio after 8 s",
    ]
    assert "0 of 2 told" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2F\x1b[0J")


class _Recorded:
    """An injection that writes down when it is injected and mended."""

    def __init__(self, name: str, log: list[str], *, fails: bool = False) -> None:
        self.name, self.log, self.fails = name, log, fails

    def inject(self, _: object) -> Mend:
        if self.fails:
            raise OSError(self.name)
        self.log.append(self.name)
        return lambda: self.log.append(f"no {self.name}")


def test_what_is_broken_together_is_mended_in_the_opposite_order() -> None:
    log: list[str] = []
    together = Together((_Recorded("one", log), _Recorded("two", log)))
    mend = together.inject(None)  # type: ignore[arg-type]  # these need no environment
    mend()
    assert log == ["one", "two", "no two", "no one"]


def test_where_one_part_cannot_be_broken_the_others_are_mended() -> None:
    log: list[str] = []
    together = Together((_Recorded("one", log), _Recorded("two", log, fails=True)))
    with pytest.raises(OSError, match="two"):
        together.inject(None)  # type: ignore[arg-type]  # these need no environment
    assert log == ["one", "no one"]
