from collections.abc import Iterator

import pytest
from tests.client.faces import Tasks, Threads
from tests.client.fake import FakeCluster


@pytest.fixture(params=["threads", "tasks"])
def face(request: pytest.FixtureRequest) -> Iterator[Threads | Tasks]:
    made: Threads | Tasks = Threads() if request.param == "threads" else Tasks()
    yield made
    made.close()


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made
