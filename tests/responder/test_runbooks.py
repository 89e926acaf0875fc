"""The runbooks that alerts link to."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.responder.conftest import START, Served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runbooks = tmp_path / "runbooks"
    runbooks.mkdir()
    (runbooks / "HighErrorRatio.md").write_text("# High error ratio\n\nLook at `rate < 5 & x`.\n")
    (runbooks / "TargetDown.md").write_text("# Target down\n")
    (runbooks / "notes.txt").write_text("not a runbook")
    (tmp_path / "secret.md").write_text("secret")
    return runbooks


@pytest.fixture
def served(start: START, folder: Path) -> Iterator[Served]:
    with start("--runbooks", str(folder)) as served:
        yield served


def test_a_runbook_is_shown_escaped(served: Served) -> None:
    for path in ("/runbooks/HighErrorRatio", "/runbooks/HighErrorRatio.md"):
        answer = served.web.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert "Look at `rate &lt; 5 &amp; x`." in answer.text


def test_an_unknown_runbook_is_404_and_lists_what_there_is(served: Served) -> None:
    answer = served.web.get("/runbooks/<b>Nothing")
    assert answer.status_code == 404
    assert "&lt;b&gt;Nothing" in answer.text
    assert 'href="/runbooks/HighErrorRatio"' in answer.text
    assert 'href="/runbooks/TargetDown"' in answer.text
    assert served.web.get("/runbooks").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/runbooks/../secret",
        "/runbooks/%2e%2e/secret",
        "/runbooks/..%2fsecret",
        "/runbooks/%2fetc%2fpasswd",
        "/runbooks/notes",
        "/runbooks/%00",
    ],
)
def test_nothing_outside_the_folder_is_shown(served: Served, path: str) -> None:
    # httpx would tidy the path up; http.client sends it as it is.
    host = served.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, b"secret</pre>" in answer.read()) == (404, False)
    connection.close()


def test_a_folder_that_is_not_there_has_no_runbooks(start: START, tmp_path: Path) -> None:
    with start("--runbooks", str(tmp_path / "none")) as served:
        answer = served.web.get("/runbooks/TargetDown")
        assert answer.status_code == 404
        assert "There are none" in answer.text
