"""A process in which a resolver is tried: `python -m quorate.runtime.resolver_trial`, by `resolvers.check`.

The question comes as JSON on standard input: file, function, samples. The answer is the last line of standard output.
"""

import json
import random
import sys
from pathlib import Path

from quorate.core.versions import laws
from quorate.runtime.resolvers import NoResolver, load, unpacked


def main() -> None:
    """Try it, and say what was found."""
    file, name, packed = json.loads(sys.stdin.read())
    samples = [unpacked(each) for each in packed]
    try:
        function = load(Path(file), name).function
    except NoResolver as error:
        raise SystemExit(str(error)) from error
    broken = laws.broken(name, function, samples, random.Random(1))
    answers = [[repr(one), repr(other), laws.answer(function, one, other)] for one, other in laws.pairs(samples)]
    print(json.dumps({"broken": broken, "answers": answers}))  # noqa: T201 - for the process that asked


if __name__ == "__main__":
    main()
