"""Ask for fresh images of one background: raise its revision in the table of backgrounds.

The revision enters every hash of the background's samples, so that they get other exemplars, placements and noise; no
other background is touched. The next run makes them.
"""

import argparse
import csv
import io
import logging
from pathlib import Path

from d3s import cli
from d3s.config import load_tables, read_config
from d3s.errors import D3SError
from d3s.shards import write_text

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("background", help="its name in the table of backgrounds")
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    return parser.parse_args()


def raise_revision(table: str, background: str) -> tuple[str, int]:
    """The text of a table of backgrounds with one revision raised, and that revision; all else stays as it is."""
    rows = list(csv.reader(io.StringIO(table.removeprefix("\ufeff"))))
    header = [cell.strip() for cell in rows[0]]
    name, revision = header.index("background"), header.index("revision")
    new = 0
    for row in rows[1:]:
        if len(row) > name and row[name].strip() == background:
            new = int(row[revision]) + 1
            row[revision] = str(new)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue(), new


def main(args: argparse.Namespace) -> None:
    config = read_config(args.configfile)
    known = [row["background"] for row in load_tables(config).backgrounds]
    if args.background not in known:
        raise D3SError(f"there is no background {args.background!r}", f"the backgrounds are: {', '.join(known)}")
    path = Path(config["tables"]["backgrounds"])
    text, revision = raise_revision(path.read_text(encoding="utf-8"), args.background)
    write_text(path, text)
    log.info("%s: revision %d of %s; run the workflow to make its images", path, revision, args.background)


if __name__ == "__main__":
    cli.run(parse, main)
