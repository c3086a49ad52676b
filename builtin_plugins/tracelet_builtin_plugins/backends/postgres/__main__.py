"""Print the SQL that creates the tables: ``python -m tracelet_builtin_plugins.backends.postgres | psql DATABASE``."""

from __future__ import annotations

import argparse

from tracelet_builtin_plugins.backends.postgres.schema import LATEST, installation


def main() -> None:
    """Print the SQL for the schema named on the command line, as one transaction."""
    parser = argparse.ArgumentParser(
        prog="python -m tracelet_builtin_plugins.backends.postgres", description=__doc__
    )
    parser.add_argument("--schema", default="tracelet", help="the schema's name (tracelet)")
    parser.add_argument(
        "--from",
        dest="version",
        type=int,
        default=0,
        choices=range(LATEST),
        help="the version that is there already (0: none)",
    )
    chosen = parser.parse_args()
    try:
        print(f"BEGIN;\n{installation(chosen.schema, chosen.version)}COMMIT;")
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
