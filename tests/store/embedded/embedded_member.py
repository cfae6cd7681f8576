"""A naq process for the tests of the embedded server: one member that does what it reads on stdin.

It answers every command with one line of JSON. At the end of stdin it ends as it is: that is what a crash does.
"""

import asyncio
import json
import sys
from pathlib import Path

from naq.store.embedded.server import EmbeddedServer


async def obey(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    say(ready=True)
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if command == "join":
            address = await server.join()
        elif command == "ensure":
            address = await server.ensure_running()
        elif command == "leave":
            await server.leave()
            say(left=True)
            return
        say(url=address.url, user=address.user, password=address.password, pid=server.pid)


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(obey(Path(sys.argv[1])))
