"""``python -m stayline``: the command line."""

import sys

from stayline.cli import main

sys.exit(main())
