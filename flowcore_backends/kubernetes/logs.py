"""What containers print, by the log API: for display and for archived logs. Results come from the wrapper, as the API may lose a flood's part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowcore_backends.kubernetes.api import Api, ApiError, pods_path, query_of

_PAUSE = 0.5
_SILENCE = 3600.0
_TRIES = 5


async def relay_log(api: Api, namespace: str, pod: str, container: str, feed: Callable[[bytes], None], *, follow: bool) -> None:
    """Hand all that a container prints to ``feed``, to its end. A stream that breaks is read again, and what was handed on is left out.

    What cannot be read is left out: logs never fail a node.
    """
    from aiohttp import ClientError

    done = 0
    for _ in range(_TRIES):
        passed = 0
        try:
            query = query_of(container=container, follow=follow or None)
            async with api.stream(pods_path(namespace, pod, "log"), query=query, read_seconds=_SILENCE) as response:
                async for piece in response.content.iter_any():
                    new = piece[max(0, done - passed) :]
                    passed += len(piece)
                    if new:
                        done = max(done, passed)
                        feed(new)
            return
        except ApiError as error:
            if error.status == 404:
                return
        except (ClientError, OSError, TimeoutError):
            pass
        await asyncio.sleep(_PAUSE)
