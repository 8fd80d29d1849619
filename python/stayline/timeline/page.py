"""The picture as a page: the SVG, and the same facts as tables for those who read or copy."""

from __future__ import annotations

from collections.abc import Sequence

from stayline.timeline.drawing import clock, shown, svg
from stayline.timeline.model import Run, duration

__all__ = ["html"]

#: Rows of one run's table; the picture has them all.
_MOST_ROWS = 200

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--dim:#59636e;--line:#d1d9e0}
@media (prefers-color-scheme:dark){:root{
--paper:#0d1117;--ink:#e6edf3;--dim:#9198a1;--line:#3d444d}}
body{margin:0 auto;padding:20px;max-width:1200px;background:var(--paper);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}
figure{margin:0}
table{border-collapse:collapse;margin:4px 0 20px}
caption{text-align:left;font-weight:600;padding:6px 0;overflow-wrap:anywhere}
th,td{text-align:left;padding:3px 18px 3px 0;border-top:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:400}
td:first-child{font-variant-numeric:tabular-nums;white-space:nowrap}
td:last-child{overflow-wrap:anywhere}
summary{cursor:pointer;color:var(--dim);margin:12px 0}
""".replace("\n", "")


def html(session_id: str, runs: Sequence[Run], left_out: int) -> str:
    """A document of its own."""
    title = shown(f"{session_id} — timeline")
    tables = "".join(_table(run) for run in runs)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"<figure>{svg(session_id, runs, left_out)}</figure>"
        f"<details><summary>The same in words</summary>{tables}</details>"
        "</main></body></html>\n"
    )


def _table(run: Run) -> str:
    rows = [("+0", "started by the host, pending")]
    if run.started_ms is not None:
        rows.append((_offset(run, run.started_ms), "the first wrapper connected, running"))
    rows += [(_offset(run, one.at_ms), one.text) for one in run.moments[:_MOST_ROWS]]
    more = len(run.moments) - _MOST_ROWS + run.moments_left_out
    if len(run.moments) > _MOST_ROWS or run.moments_left_out:
        rows.append(("", f"and {more} more"))
    if run.unfinished:
        rows.append((_offset(run, run.edge_ms), f"still {run.status}"))
    cells = "".join(f"<tr><td>{shown(at)}</td><td>{shown(text)}</td></tr>" for at, text in rows)
    caption = f"{run.id}, from {clock(run.created_ms)}: {run.events} events"
    return (
        f"<table><caption>{shown(caption)}</caption>"
        f'<tr><th scope="col">after</th><th scope="col">what</th></tr>{cells}</table>'
    )


def _offset(run: Run, at_ms: int) -> str:
    return f"+{duration(max(at_ms - run.created_ms, 0))}"
