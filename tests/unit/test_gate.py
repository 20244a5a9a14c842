from __future__ import annotations

import asyncio

import pytest

from schema.clock import new_id
from storage.engine.leases import Lease
from tasks.clients import gate
from tasks.clients.gate import estimated_tokens
from tasks.watch import Held


@pytest.fixture
def held() -> Held:
    return Held(Lease(new_id(), new_id(), 1, 1))


def test_whoever_stands_in_line_for_a_place_counts_as_moving(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_MOVE_SECONDS", 0.01)
    moves = []
    monkeypatch.setattr(held, "move", lambda: moves.append(True))

    async def stand() -> None:
        places = asyncio.Semaphore(1)
        await places.acquire()

        async def second() -> None:
            async with gate._place(places, held):
                pass

        standing = asyncio.create_task(second())
        while len(moves) < 3:
            await asyncio.sleep(0.001)
        places.release()
        await standing
        assert not places.locked()

    asyncio.run(asyncio.wait_for(stand(), 10))


@pytest.mark.parametrize("freed_first", [True, False])
def test_whoever_leaves_the_line_takes_no_place_along(held: Held, freed_first: bool) -> None:
    async def stand() -> None:
        places = asyncio.Semaphore(1)
        await places.acquire()

        async def second() -> None:
            async with gate._place(places, held):
                raise AssertionError("nobody let it in")

        standing = asyncio.create_task(second())
        await asyncio.sleep(0.01)
        if freed_first:
            places.release()
        standing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await standing
        if not freed_first:
            places.release()
        await asyncio.wait_for(places.acquire(), 1)

    asyncio.run(stand())


@pytest.mark.parametrize(("texts", "tokens"), [((), 1), (("",), 1), (("abcd" * 25,), 26), (("ab", "cd" * 9), 6)])
def test_a_prompt_has_about_a_token_for_four_characters(texts: tuple[str, ...], tokens: int) -> None:
    assert estimated_tokens(*texts) == tokens
