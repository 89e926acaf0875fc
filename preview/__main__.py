"""python -m preview render | serve: the generated dashboards without Grafana."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from contract import logs
from exporters.expose import add_serve_arguments, serve
from preview.board import Board, BoardError, read_boards
from preview.colours import THEMES
from preview.page import render_page
from preview.picture import render_picture
from preview.prometheus import Prometheus
from preview.serve import build_app
from preview.span import SpanError
from preview.view import look_at

__all__ = ["main"]

SCRAPE_INTERVAL = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 for what can't be read, 1 when Prometheus does not answer."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            logs.setup("preview", options.log_format)
            folder, interval = _dashboards(options.grafana), _interval(options.grafana)
            read_boards(folder)
            with Prometheus(options.prometheus) as prometheus:
                return serve(
                    build_app(folder, prometheus, scrape_interval=interval), options.listen
                )
        return _render(options)
    except (BoardError, SpanError) as error:
        print(error, file=sys.stderr)
        return 2


def _render(options: argparse.Namespace) -> int:
    boards = read_boards(_dashboards(options.grafana))
    chosen = _chosen(boards, options.dashboard)
    status = 0
    wanted: dict[str, list[str]] = {}
    for name, value in options.var:
        wanted.setdefault(name, []).append(value)
    with Prometheus(options.prometheus) as prometheus:
        for board in chosen:
            view = look_at(
                board,
                prometheus,
                wanted=wanted,
                since=f"now-{options.range}" if options.range else "",
                until="now",
                theme=THEMES[options.theme],
                scrape_interval=_interval(options.grafana),
            )
            for path in _outputs(options.out, board):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".png":
                    path.write_bytes(render_picture(view, scale=options.scale, rows=options.rows))
                else:
                    page = render_page(view, boards, links=options.links, live=False)
                    path.write_text(page, encoding="utf-8")
                print(path)
            for problem in view.problems:
                print(f"{board.uid}: {problem}", file=sys.stderr)
                status = 1
    return status


def _chosen(boards: dict[str, Board], name: str | None) -> list[Board]:
    if name is None:
        return list(boards.values())
    for uid in (name, f"ml-{name}"):
        if uid in boards:
            return [boards[uid]]
    raise BoardError(f"--dashboard {name}: there is none; there are {', '.join(boards)}")


def _outputs(out: list[Path] | None, board: Board) -> list[Path]:
    """A folder gets both kinds, under the dashboard's uid; a file is what its name ends in."""
    paths: list[Path] = []
    for one in out or [Path("data/preview")]:
        if one.suffix in (".html", ".png"):
            paths.append(one)
        elif one.suffix:
            raise BoardError(f"--out {one}: write a folder, or a file that ends in .html or .png")
        else:
            paths += [one / f"{board.uid}.html", one / f"{board.uid}.png"]
    return paths


def _dashboards(grafana: Path) -> Path:
    return grafana / "dashboards" if (grafana / "dashboards").is_dir() else grafana


def _interval(grafana: Path) -> float:
    """The scrape interval in seconds, as Grafana is told: graphs have no finer points."""
    path = grafana / "provisioning" / "datasources" / "prometheus.yml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        text = str(raw["datasources"][0]["jsonData"]["timeInterval"])
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return SCRAPE_INTERVAL
    for suffix, size in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(suffix) and text.removesuffix(suffix).isdecimal():
            return float(text.removesuffix(suffix)) * size
    return SCRAPE_INTERVAL


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=VALUE, such as model=fraud")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m preview",
        description="Draw the generated Grafana dashboards from a running Prometheus.",
        epilog="""\
examples:
  python -m preview render --dashboard model --var model=breast-cancer --range 1h --out model.png
  python -m preview render --out data/preview
  python -m preview serve --listen 127.0.0.1:3000""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="write dashboards as HTML pages and PNG pictures")
    server = commands.add_parser("serve", help="show them over HTTP, as Grafana would, at /d/UID")
    for one in (render, server):
        one.add_argument(
            "--prometheus",
            default="http://127.0.0.1:9090",
            metavar="URL",
            help="who answers the queries (default: %(default)s)",
        )
        one.add_argument(
            "--grafana",
            type=Path,
            default=Path("grafana/generated"),
            metavar="DIR",
            help="what the generator wrote for Grafana, or a folder of dashboards alone "
            "(default: %(default)s)",
        )
    add_serve_arguments(server, listen="127.0.0.1:3000")
    render.add_argument(
        "--dashboard", metavar="UID", help="one dashboard: ml-model, or model (default: all)"
    )
    render.add_argument(
        "--var",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable's value; again for several (default: the dashboard's own choice)",
    )
    render.add_argument("--range", metavar="1h", help="how far to look back (default: as it says)")
    render.add_argument(
        "--out",
        type=Path,
        action="append",
        metavar="PATH",
        help="a folder, or a file that ends in .html or .png; may be given again "
        "(default: data/preview)",
    )
    render.add_argument(
        "--links",
        default="http://127.0.0.1:3000",
        metavar="URL",
        help="where links between dashboards lead (default: %(default)s)",
    )
    render.add_argument("--theme", choices=list(THEMES), default="dark", help="(default: dark)")
    render.add_argument(
        "--scale", type=float, default=1.0, metavar="N", help="size of a PNG; 1 is 1440 pixels wide"
    )
    render.add_argument(
        "--rows", type=int, metavar="N", help="only so many grid rows of a PNG, from the top"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
