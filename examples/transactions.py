"""The store below: move an amount between two accounts, and never half of it."""

from __future__ import annotations

import asyncio
import secrets

from naq.services import Committed, KVStoreService, Refused, ServiceManager


async def main() -> None:
    async with ServiceManager({"namespace": f"example-{secrets.token_hex(4)}"}) as services:
        store = await services.get_service(KVStoreService)
        ann, bob = await store.put("account.ann", 100), await store.put("account.bob", 0)
        moved = await (
            store.transaction()
            .update("account.ann", 70, ann)
            .update("account.bob", 30, bob)
            .create("receipt.1", {"moved": 30})
        ).commit()
        assert isinstance(moved, Committed)
        late = await store.transaction().update("account.ann", 0, ann).update("account.bob", 100, bob).commit()
        assert isinstance(late, Refused)  # both revisions have moved: nothing was written
        print(
            await store.get_json("account.ann"), await store.get_json("account.bob"), await store.get_json("receipt.1")
        )


if __name__ == "__main__":
    asyncio.run(main())
