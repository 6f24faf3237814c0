"""Write docs/promises.md from what each replication promises; with `--check`, only say whether it is current."""

import sys
from pathlib import Path

from quorate.core.promises import document
from quorate.core.replication import REPLICATIONS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "promises.md"


def main() -> int:
    """0 when the page is current (now)."""
    text = document(each.promises for each in REPLICATIONS.values())
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
