"""Both clients behind one face, so that each test of their behaviour runs on both."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import quorate
import quorate.aio


class Threads:
    """The client for threads."""

    def connect(self, url: str, **options: Any) -> Any:
        return quorate.connect(url, **{"lazy": True, **options})

    def cluster(self, url: str, **options: Any) -> Any:
        return quorate.Cluster(url, **options)

    def at_once(self, *calls: Callable[[], Any]) -> list[Any]:
        """Run calls in threads of their own; what each gave or raised."""
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.exception() or future.result() for future in [pool.submit(call) for call in calls]]

    def close(self) -> None: ...


class Waited:
    """An object whose awaitable methods are waited for."""

    def __init__(self, face: "Tasks", inner: Any) -> None:
        self.face = face
        self.inner = inner

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("face", "inner"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found) or isinstance(found, type):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            async def work() -> Any:
                given = found(*arguments, **options)
                if name == "cursor":
                    return Waited(self.face, given)
                return await given if asyncio.iscoroutine(given) else given

            self.face.check_loop()
            if self.face.inside:
                return work()
            return self.face.runner.run(work())

        return call

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tasks:
    """The client for asyncio, driven from a test that knows nothing of it."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.inside = False

    def check_loop(self) -> None:
        self.runner.get_loop()

    def connect(self, url: str, **options: Any) -> Any:
        async def make() -> Any:
            return quorate.aio.connect(url, **options)

        return Waited(self, self.runner.run(make()))

    def cluster(self, url: str, **options: Any) -> Any:
        async def make() -> Any:
            return quorate.aio.Cluster(url, **options)

        return Waited(self, self.runner.run(make()))

    def at_once(self, *calls: Callable[[], Any]) -> list[Any]:
        """Run calls as tasks; what each gave or raised."""

        async def work() -> list[Any]:
            return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

        self.inside = True
        try:
            return self.runner.run(work())
        finally:
            self.inside = False

    def close(self) -> None:
        self.runner.close()
