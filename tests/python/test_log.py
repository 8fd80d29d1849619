"""The core's log goes to `logging.getLogger("stayline")`."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import stayline
from conftest import RunScript, eventually


def test_records_come_from_the_core(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, logger="stayline")
    with stayline.Coordinator("memory:") as coordinator, coordinator.serve() as server:
        eventually(lambda: any("serving" in record.message for record in caplog.records))
        record = next(record for record in caplog.records if "serving" in record.message)
    assert record.name == "stayline"
    assert record.levelname == "INFO"
    assert server.url in record.message


def test_nothing_is_printed_without_a_handler(run_script: RunScript) -> None:
    ended = run_script(
        """
        import stayline

        def refuse(*asked):
            raise RuntimeError("no")

        with stayline.Coordinator("memory:") as coordinator:
            execution = coordinator.session("s").start()
            with coordinator.serve(authorize=refuse) as server:
                wrapper = stayline.Wrapper(server.url, session_id="s", execution_id=execution.id)
                try:
                    wrapper.wait_connected(10)
                except stayline.Error as error:
                    print(type(error).__name__)
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Disconnected\n", "")
