"""``python -m stayline.testing PATH... [--driver python|EXECUTABLE] [--store STORE] [--json]``.

With ``--keep-store DIR`` the files of every scenario stay, in ``DIR/0001`` and so on in the order
in which they are run; over sqlite the store is ``scenario.db`` there.

One line a scenario, the sums last. Exit code 0: all passed or were skipped; 1: some failed; 2: a
file is no scenario file or uses a word that does not exist (the others are still run).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .drivers import Driver, DriverError, open_driver
from .format import FormatError, Scenario, load, scenario_files
from .interpreter import Result, run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        driver = open_driver(options.driver)
    except (DriverError, ImportError) as error:
        print(f"stayline.testing: no driver {options.driver}: {error}", file=sys.stderr)
        return 2
    sums = {"ok": 0, "FAIL": 0, "skip": 0}
    is_bad = False
    try:
        for number, item in enumerate(_items(options.paths, options.name), start=1):
            keep = None if options.keep is None else options.keep / f"{number:04}"
            result = _result(item, driver, options.store, keep)
            is_bad = is_bad or isinstance(item, FormatError)
            sums[result.outcome] += 1
            _tell(result, options.json)
    finally:
        driver.close()
    if not any(sums.values()):
        print("stayline.testing: no scenario found", file=sys.stderr)
        is_bad = True
    if options.json:
        names = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}
        print(json.dumps({name: sums[outcome] for name, outcome in names.items()}))
    else:
        print(f"{sums['ok']} passed, {sums['FAIL']} failed, {sums['skip']} skipped")
    return 2 if is_bad else 1 if sums["FAIL"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stayline.testing", description="Runs scenario files against a driver."
    )
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a scenario file, or a folder of them"
    )
    parser.add_argument(
        "--driver",
        default="python",
        help="python (this module, the default), or a program that speaks the driver protocol",
    )
    parser.add_argument(
        "--store",
        default="memory",
        type=_store,
        help="memory (the default), sqlite, or postgresql://…",
    )
    parser.add_argument(
        "--keep-store",
        metavar="DIR",
        dest="keep",
        type=Path,
        help="leave the files of every scenario in a folder of its own below DIR",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario")
    parser.add_argument(
        "-k", metavar="NAME", dest="name", default="", help="only scenarios with this in their name"
    )
    return parser


def _store(text: str) -> str:
    if text in ("memory", "sqlite") or text.startswith(("postgresql://", "postgres://")):
        return text
    raise argparse.ArgumentTypeError(f"{text} is not memory, sqlite or postgresql://…")


def _items(paths: Sequence[str], name: str) -> Iterator[Scenario | FormatError]:
    for path in scenario_files(paths):
        for item in load(path):
            title = item.name if isinstance(item, Scenario) else item.scenario
            # A file that cannot be read at all is told whatever was asked for.
            if title is None or name in title:
                yield item


def _result(item: Scenario | FormatError, driver: Driver, store: str, keep: Path | None) -> Result:
    if isinstance(item, Scenario):
        return run(item, driver, store, keep=keep)
    print(item, file=sys.stderr)
    return Result(item.scenario or item.file, item.file, "FAIL", item.what)


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        outcome = {"ok": "passed", "FAIL": "failed", "skip": "skipped"}[result.outcome]
        told = {"name": result.scenario, "file": result.file, "outcome": outcome}
        if result.reason:
            told["reason"] = result.reason
        print(json.dumps(told, ensure_ascii=False), flush=True)
    else:
        print(result.line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
