"""Clients that come, go, stall and send rubbish, for an hour: is memory flat, is nobody lost, does nobody see another?

    python benchmarks/serve_soak.py --seconds 3600 [--clients 16] [--megabytes 64]

A tiny model with random weights, in double precision, serves two bodies on loopback. Honest clients compare every
action with that of an agent of their own, to the last bit; a session that saw another's history would differ. Rude ones
stop reading, hang up in mid-message and send bytes at random. Prints one JSON line, and fails where an action differed,
an answer did not come, a place was not freed, or the process grew by more than so many megabytes after its first tenth.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from serving import Served, make_telling_model, served
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from gato.client import Client, ServerError, pack, unpack
from gato.model.config import ModelConfig
from gato.model.gato import Gato
from gato.rollout.agent import Agent
from gato.sequences import Layout
from gato.skills.bodies import BODIES

PROMPTS = {
    "half-cheetah": ("run forward", "run backward", "please run forward"),
    "hopper": ("hop forward", "hop backward", "stand still"),
}
STEPS = 40
"""Of an honest visit, at most."""
PATIENCE = 60.0
"""Seconds for an answer, on a busy machine."""
FREED = 60.0
"""Seconds in which the last places are freed."""
SAMPLE = 0.05
"""Seconds between looks at the process's memory."""


@dataclass
class Tally:
    """What happened to all of them."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **more: int) -> None:
        with self.lock:
            for name, count in more.items():
                self.counts[name] = self.counts.get(name, 0) + count


def honest(place: Served, model: Gato, rng: np.random.Generator, tally: Tally) -> None:
    """One visit: every action must be that of a lone agent, also after errors of its own."""
    body = str(rng.choice(list(PROMPTS)))
    size, prompt = len(BODIES[body].spec.observation), str(rng.choice(PROMPTS[body]))
    agent, steps = Agent(model, body, [prompt]), int(rng.integers(1, STEPS))
    with Client(place.address, body=body, prompt=prompt, timeout=PATIENCE) as client:
        for _ in range(steps):
            told, reset = None, bool(rng.random() < 0.05)
            if rng.random() < 0.05:
                refused(client, np.full(size, np.nan), tally)
            if reset:
                agent.reset(np.array([0]))
            if rng.random() < 0.1:
                told = str(rng.choice(PROMPTS[body]))
                if told != agent.prompts[0]:
                    agent.set_prompt(np.array([0]), [told])
            observation_O = rng.standard_normal(size, np.float32)
            action_A = client.act(observation_O, prompt=told, reset=reset)
            expected_A = agent(observation_O[None])[0]
            tally.add(actions=1, together=int(client.reply["server_timing"]["rows"] > 1))
            if not np.array_equal(action_A, expected_A):
                tally.faults.append(f"{body} told {agent.prompts[0]!r} got {action_A}, alone {expected_A}")
                return
            if rng.random() < 0.02:
                time.sleep(0.2)
    tally.add(visits=1)


def refused(client: Client, observation_O: np.ndarray, tally: Tally) -> None:
    """A message of its own that is wrong."""
    try:
        client.act(observation_O, reset=True)
    except ServerError:
        tally.add(refusals=1)
    else:
        tally.faults.append("NaN were taken")


def rude(place: Served, model: Gato, rng: np.random.Generator, tally: Tally) -> None:
    """One visit that must harm nobody else."""
    with connect(place.address, compression=None, proxy=None, close_timeout=1, max_queue=1) as opened:
        ways: Sequence[Callable[[ClientConnection, np.random.Generator], None]] = (_rubbish, _stall, _vanish)
        ways[int(rng.integers(len(ways)))](opened, rng)
    tally.add(rude=1)


def _rubbish(opened: ClientConnection, rng: np.random.Generator) -> None:
    opened.recv(timeout=PATIENCE)
    for _ in range(10):
        opened.send(rng.bytes(int(rng.integers(1, 2000))))
        if "error" not in unpack(opened.recv(timeout=PATIENCE)):
            raise AssertionError("rubbish was taken")


def _stall(opened: ClientConnection, rng: np.random.Generator) -> None:
    """Asks, and reads nothing."""
    body = str(rng.choice(list(PROMPTS)))
    size = len(BODIES[body].spec.observation)
    for _ in range(20):
        opened.send(pack({"observation": np.zeros(size), "body": body, "prompt": PROMPTS[body][0]}))
    time.sleep(float(rng.random()))
    opened.socket.shutdown(socket.SHUT_RDWR)


def _vanish(opened: ClientConnection, rng: np.random.Generator) -> None:
    """In the middle of a frame that says it has 4096 bytes."""
    opened.recv(timeout=PATIENCE)
    opened.socket.sendall(b"\x82\xfe\x10\x00" + rng.bytes(20))
    opened.socket.shutdown(socket.SHUT_RDWR)


def visit(way: Callable[..., None], seed: int, end: float, *given: Any) -> None:
    """Visit after visit until the time is over. A place may be taken, and who is rude may be hung up on."""
    rng, tally = np.random.default_rng(seed), given[-1]
    while time.monotonic() < end and not tally.faults:
        try:
            way(*given[:-1], rng, tally)
        except (WebSocketException, OSError) as error:
            if way is honest:
                tally.faults.append(f"an honest client was lost: {type(error).__name__}: {error}")
        except (AssertionError, ValueError) as error:
            tally.faults.append(str(error))


def resident() -> float:
    """MB of this process, where the system tells (Linux); else 0."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def soak(seconds: float, *, clients: int = 8, megabytes: float = 64.0) -> dict[str, Any]:
    """What happened, JSON. AssertionError names the first fault."""
    config = ModelConfig(size="nano", layout=Layout(window_steps=6, demonstration_steps=0))
    model = make_telling_model(config, *(BODIES[name].spec for name in PROMPTS))
    tally, most = Tally(), 2 * clients
    with served(model, most=most) as place:
        began, memory = time.monotonic(), []
        threads = [
            threading.Thread(target=visit, args=(way, seed, began + seconds, place, model, tally))
            for seed, way in enumerate([honest, honest, honest, rude] * (clients // 4))
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            memory.append(resident())
            time.sleep(SAMPLE)
        end = time.monotonic() + FREED
        while not place.is_empty and time.monotonic() < end:
            time.sleep(SAMPLE)
        assert place.is_empty, f"{place.server.num_open} connections, {place.batcher.num_sessions()} rows are not freed"
        served_actions = place.server.num_actions
    assert not tally.faults, tally.faults[0]
    early = max(memory[: max(1, len(memory) // 10)])
    grown = max(memory[-max(1, len(memory) // 10) :]) - early
    assert grown < megabytes, f"the process grew from {early:.0f} MB by {grown:.0f} MB"
    figures = {"seconds": seconds, "clients": clients, "megabytes": round(early), "grown_by": round(grown, 1)}
    return {**figures, "served_actions": served_actions, **tally.counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--clients", type=int, default=16, help="at a time, a multiple of 4: one of four is rude")
    parser.add_argument("--megabytes", type=float, default=64.0, help="by which the process may grow")
    options = parser.parse_args()
    print(json.dumps(soak(options.seconds, clients=options.clients, megabytes=options.megabytes)))


if __name__ == "__main__":
    main()
