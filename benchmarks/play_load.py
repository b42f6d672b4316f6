"""Viewers of `gato play` in a process of their own: what they are shown, and how soon what they say holds.

    python benchmarks/play_load.py ADDRESS SECONDS BODY [BODY ...]

A viewer a body. Each says something every second. Prints JSON; benchmarks/play.py runs it.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time

from websockets.asyncio.client import connect

SETTLED = 1.5
"""s after the bodies are there, before anything counts."""


async def view(address: str, body: str, seconds: float) -> dict[str, object]:
    """One viewer."""
    found: dict[str, list[float]] = {"reply_ms": [], "simulated_s": []}
    async with connect(address, compression=None, max_size=None, proxy=None) as socket:
        skills = json.loads(await socket.recv())["bodies"][body]
        await socket.send(json.dumps({"body": body}))
        while isinstance(item := await socket.recv(), bytes) or json.loads(item).get("body") != body:
            pass
        began, first, shown, moments, frames, words = 0.0, 0.0, 0.0, 0, 0, 0
        said_at = said_when_shown = 0.0
        opened = time.perf_counter()
        while not began or time.perf_counter() - began < seconds:
            item, now = await socket.recv(), time.perf_counter()
            if isinstance(item, str):
                told = json.loads(item)
                if said_at and told["event"] == "begun":
                    said_at = 0.0  # time begins anew
                elif said_at and told["event"] == "told":
                    found["reply_ms"].append(1e3 * (now - said_at))
                    found["simulated_s"].append(told["time"] - said_when_shown)
                    said_at = 0.0
                continue
            shown, count, _ = struct.unpack_from("<3d", item)
            if not began:
                if now - opened < SETTLED:
                    continue
                began, first = now, shown
            if shown < first:
                first = shown  # it fell and begins anew
            moments, frames = moments + int(count), frames + 1
            if not said_at and now - began > words:
                words += 1
                said_at, said_when_shown = time.perf_counter(), shown
                await socket.send(json.dumps({"say": list(skills)[words % len(skills)]}))
        lasted = now - began
    return {"body": body, "poses_per_second": moments / lasted, "frames_per_second": frames / lasted, **found}


async def main(address: str, seconds: float, bodies: list[str]) -> None:
    viewers = await asyncio.gather(*(view(address, body, seconds) for body in bodies))
    sys.stdout.write(json.dumps(viewers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
