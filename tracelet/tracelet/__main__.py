"""``python -m tracelet`` is the command line."""

import sys

from tracelet.cli import main

sys.exit(main())
