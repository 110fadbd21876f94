"""`python -m bertwright`."""

import sys

from bertwright.cli.main import main

sys.exit(main())
