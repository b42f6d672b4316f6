"""Clients of a policy server in a process of their own, each asking again as soon as it has its answer.

    python benchmarks/serve_load.py ADDRESS BODY OBSERVATIONS CLIENTS SECONDS

Part of benchmarks/serve.py. Loads no torch. Prints one JSON line: answers/s and the milliseconds of an answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from gato.client import pack, unpack

WARM = 30
"""Answers of each client before the clock starts: every context has been full then."""


async def _ask(connection: ClientConnection, observation_O: np.ndarray) -> tuple[float, int]:
    """Seconds, and how many were answered together."""
    began = time.perf_counter()
    await connection.send(pack({"observation": observation_O}))
    reply = unpack(await connection.recv())
    return time.perf_counter() - began, reply["server_timing"]["rows"]


async def load(address: str, body: str, size: int, clients: int, seconds: float) -> dict[str, float]:
    """All clients connect and are warm before the clock starts."""
    warm, is_over = asyncio.Barrier(clients + 1), asyncio.Event()
    answers: list[tuple[float, int]] = []

    async def one(seed: int) -> None:
        rng = np.random.default_rng(seed)
        async with connect(address, compression=None, proxy=None, open_timeout=60, ping_interval=None) as connection:
            await connection.recv()
            await connection.send(pack({"observation": np.zeros(size), "body": body, "prompt": ""}))
            await connection.recv()
            for _ in range(WARM + seed % WARM):  # so that contexts are not all full at once
                await _ask(connection, rng.standard_normal(size, np.float32))
            await warm.wait()
            while not is_over.is_set():
                answers.append(await _ask(connection, rng.standard_normal(size, np.float32)))

    async with asyncio.TaskGroup() as group:
        for seed in range(clients):
            group.create_task(one(seed))
        await warm.wait()
        began = time.perf_counter()
        await asyncio.sleep(seconds)
        taken = time.perf_counter() - began
        is_over.set()
        count = len(answers)
    milliseconds = 1e3 * np.array([answer[0] for answer in answers])
    return {
        "requests_per_second": count / taken,
        "p50_ms": float(np.percentile(milliseconds, 50)),
        "p99_ms": float(np.percentile(milliseconds, 99)),
        "rows": float(np.mean([answer[1] for answer in answers])),
    }


if __name__ == "__main__":
    words = sys.argv[1:]
    print(json.dumps(asyncio.run(load(words[0], words[1], *map(int, words[2:4]), seconds=float(words[4])))))
