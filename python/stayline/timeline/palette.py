"""Colours and glyphs of the picture, in light and dark.

Nothing is said by colour alone: a status is written beside its bar, an outage is hatched, and each
kind of mark has a shape of its own. The rules are scoped by a class, so that a picture in a
notebook changes nothing around it.
"""

from __future__ import annotations

__all__ = ["GLYPHS", "STYLE"]

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "dim": "#59636e",
    "line": "#d1d9e0",
    "track": "#f0f3f6",
    "pending": "#d4a72c",
    "running": "#0969da",
    "completed": "#1a7f37",
    "failed": "#cf222e",
    "interrupted": "#8250df",
    "outage": "#cf222e",
    "ordinary": "#4393e6",
    "late": "#9a6700",
    "on": "#ffffff",
    "on-pending": "#1f2328",
}

_DARK = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "dim": "#9198a1",
    "line": "#3d444d",
    "track": "#1b222b",
    "pending": "#d29922",
    "running": "#2f81f7",
    "completed": "#3fb950",
    "failed": "#f85149",
    "interrupted": "#ab7df8",
    "outage": "#f85149",
    "ordinary": "#388bfd",
    "late": "#d29922",
    "on": "#0d1117",
    "on-pending": "#0d1117",
}

#: The path of a mark around 0,0, and the colour it is drawn in.
GLYPHS = {
    "disconnected": ("M-5 -4.5H5L0 5Z", "outage"),
    "resumed": ("M-5 4.5H5L0 -5Z", "completed"),
    "error": ("M0 -5.5L5.5 0L0 5.5L-5.5 0Z", "failed"),
    "rejected": (
        "M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0Z",
        "failed",
    ),
    "lost": ("M-1.5 -5.5H1.5V1.5H-1.5ZM-1.5 3H1.5V6H-1.5Z", "failed"),
    "interrupt": ("M-4.5 -4.5H4.5V4.5H-4.5Z", "interrupted"),
    "late": ("M-4 -5V5M-4 -5H5L2 -2L5 1H-4", "late"),
}


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE = (
    f".stayline-timeline{{{_variables(_LIGHT)}color-scheme:light dark;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif}"
    f"@media (prefers-color-scheme:dark){{.stayline-timeline{{{_variables(_DARK)}}}}}"
    ".stayline-timeline text{fill:var(--ink);font-size:12px}"
    ".stayline-timeline .dim{fill:var(--dim);font-size:11px}"
    ".stayline-timeline .name{font-weight:600;font-size:13px}"
    ".stayline-timeline .head{font-weight:600;font-size:16px}"
    ".stayline-timeline .count{font-size:9px;font-weight:600}"
    ".stayline-timeline .number{font-variant-numeric:tabular-nums}"
    + "".join(
        f".stayline-timeline .{name}{{fill:var(--{name})}}"
        for name in (
            *("paper", "track", "pending", "running", "completed", "failed", "interrupted"),
            *("ordinary", "late", "outage"),
        )
    )
    + ".stayline-timeline .rule{stroke:var(--line);stroke-width:1;fill:none}"
    ".stayline-timeline .cut{stroke:var(--outage);stroke-width:1;stroke-dasharray:3 2}"
    ".stayline-timeline .hatch{stroke:var(--outage);stroke-width:2}"
    ".stayline-timeline .shade{fill:var(--outage);opacity:.09}"
    ".stayline-timeline .torn{stroke:var(--dim);stroke-width:1.5;fill:none}"
    ".stayline-timeline text.on{fill:var(--on);font-weight:600;font-size:11px}"
    ".stayline-timeline text.on-pending{fill:var(--on-pending);font-weight:600;font-size:11px}"
    ".stayline-timeline text.failed,.stayline-timeline text.completed,"
    ".stayline-timeline text.interrupted,.stayline-timeline text.running,"
    ".stayline-timeline text.pending{font-weight:600}"
    ".stayline-timeline .outline{fill:none;stroke:var(--late);stroke-width:1.6}"
)
