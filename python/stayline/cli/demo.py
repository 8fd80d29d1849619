"""``stayline demo``: what this is worth, seen in half a minute."""

from __future__ import annotations

import argparse

from stayline import demo


def main(options: argparse.Namespace) -> int:
    """0 if everything held."""
    return demo.show(options.seed, options.lines, options.keep)
