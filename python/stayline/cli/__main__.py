"""``python -m stayline.cli``: the command line without its console script."""

import sys

from stayline.cli import main

sys.exit(main())
