"""The preview as a server: pages, links, refusals, and a Prometheus that is down."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.processes import ROOT, eventually, free_port, running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

CHURN = "/d/ml-model?var-model=churn&var-version=1&from=now-5m&to=now"


def test_the_index_leads_to_every_dashboard(page: httpx.Client) -> None:
    links = re.findall(r'href="(/d/[^"]+)"', page.get("/").text)
    assert {"/d/ml-fleet", "/d/ml-model"} <= set(links)
    assert [page.get(link).status_code for link in links] == [200] * len(links)


def test_a_dashboard_shows_what_its_url_chooses_with_no_other_answer_missing(
    page: httpx.Client,
) -> None:
    text = page.get(CHURN).text
    assert "<option selected>churn</option>" in text
    assert "<option>price</option>" in text
    assert "Prometheus refuses" not in text
    assert text.count('<section class="panel') == len(re.findall(r"data-panel=", text)) > 15


def test_a_row_of_the_fleet_leads_to_its_model(page: httpx.Client) -> None:
    def link() -> str:
        fleet = page.get("/d/ml-fleet?from=now-5m&to=now").text
        found = re.search(r'href="(/d/ml-model[^"]+)"[^>]*>churn<', fleet)
        return unescape(found[1]) if found else ""

    found = eventually(link, seconds=60)
    assert "var-model=churn" in found
    assert "from=now-5m" in found
    assert "<option selected>churn</option>" in page.get(found).text


def test_links_keep_the_theme(page: httpx.Client) -> None:
    light = page.get(f"{CHURN}&theme=light").text
    links = [unescape(one) for one in re.findall(r'href="(/d/[^"]+)"', light)]
    assert len(links) > 5
    assert [one for one in links if not one.endswith("&theme=light")] == []
    assert "theme=" not in "".join(re.findall(r'href="(/d/[^"]+)"', page.get(CHURN).text))


def test_the_same_dashboard_is_a_picture(page: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "model.png"
    path.write_bytes(page.get(CHURN.replace("ml-model", "ml-model.png")).content)
    with Image.open(path) as image:
        assert image.width == 1440
        assert image.height > 1440


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/d/nothing", 404, "there is no such dashboard; there are ml-"),
        ("/d/ml-model?from=yesterday", 400, "yesterday: no time; write now, now-1h"),
        ("/d/ml-model?var-model=ghost", 200, "Model: ghost is not among them"),
    ],
)
def test_what_cannot_be_shown_is_said(
    page: httpx.Client, path: str, status: int, says: str
) -> None:
    response = page.get(path)
    assert response.status_code == status
    assert says in response.text


def test_a_page_says_that_prometheus_is_down(grafana: Path) -> None:
    address, nobody = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "preview", "serve", "--listen", address]
    command += ["--prometheus", f"http://{nobody}", "--grafana", str(grafana)]
    with (
        running(command, ready_url=f"http://{address}/healthz", exits_with=0),
        httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60) as client,
    ):
        for path in ("/", "/d/ml-fleet"):
            response = client.get(path)
            assert response.status_code == 200
            assert f"Prometheus at http://{nobody} does not answer" in response.text


def test_render_writes_pages_and_pictures(source: str, grafana: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "preview", "render", "--prometheus", source]
    command += ["--grafana", str(grafana), "--dashboard", "fleet", "--range", "5m"]
    command += ["--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"ml-fleet.html", "ml-fleet.png"}
    page = (tmp_path / "ml-fleet.html").read_text()
    assert not re.search(r'(src|<link rel="stylesheet")="?http', page), "it needs the network"
    assert 'href="http://127.0.0.1:3000/d/ml-model' in page


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dashboard", "nope"], "--dashboard nope: there is none; there are ml-"),
        (["--range", "soon"], "now-soon: no time"),
        (["--out", "x.pdf"], "--out x.pdf: write a folder"),
        (["--grafana", "tests"], "tests: holds no dashboards"),
    ],
)
def test_what_render_cannot_use_is_refused(arguments: list[str], says: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "preview", "render", "--prometheus", "http://127.0.0.1:9"]
    command += ["--out", str(tmp_path), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr


def browser() -> str:
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    return next((path for path in found if path), "")


def open_in_browser(url: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    name = browser()
    assert name, "make test installs chromium: scripts/system_packages.sh chromium"
    command = [name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        "--no-first-run",
    ]
    command += ["--window-size=1440,3000", "--virtual-time-budget=4000", *more, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize("path", ["/", "/d/ml-fleet?from=now-5m&to=now&refresh=off", CHURN])
def test_a_real_browser_shows_it_and_has_nothing_to_complain_of(
    page: httpx.Client, path: str, tmp_path: Path
) -> None:
    picture = tmp_path / "page.png"
    shown = open_in_browser(str(page.base_url.join(path)), tmp_path, f"--screenshot={picture}")
    console = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert not console
    with Image.open(picture) as image:
        assert image.size == (1440, 3000)
        colours = image.convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 50


def test_values_stand_beside_the_pointer(page: httpx.Client, tmp_path: Path) -> None:
    """The page's own script, with a pointer that moves over the first time series."""
    text = page.get(CHURN).text
    move = """
      const panel = document.querySelector("section.timeseries");
      const area = panel.querySelector("svg").getBoundingClientRect();
      const at = { clientX: area.left + area.width * 0.97, clientY: area.top + 20, bubbles: true };
      panel.querySelector("svg").dispatchEvent(new PointerEvent("pointermove", at));
    """
    path = tmp_path / "page.html"
    path.write_text(text.replace("</body>", f"<script>{move}</script></body>"))
    shown = open_in_browser(f"file://{path}", tmp_path, "--dump-dom")
    found = re.search(r'<div id="tip".*?</div></?(?:table|div).*?</table>', shown.stdout, re.DOTALL)
    assert found, shown.stderr
    assert "success" in found[0]
    assert "req/s" in found[0]
