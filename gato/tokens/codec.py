"""Every value to an id of the one id space and back, with the statistics of every body; saved inside the model.

In: flat vectors of a body, commands, text. Out: int64 ids; and the inverse of each.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gato.runs import write_atomic
from gato.specs import COMMANDS, BodySpec, Element, near_match
from gato.tokens.numbers import AsinhCodec, MuLawCodec, NumberCodec
from gato.tokens.text import TextCodec
from gato.tokens.vector import Numbers, Ranges, VectorCodec

CODEC_FILE, TOKENIZER_FILE = "codec.json", "tokenizer.json"
FORMAT, FORMATS = 2, (1, 2)
"""Written, and read: in the first, observations had bins over 4 deviations, and episodes begin beyond them."""
SCALES: dict[str, Callable[[np.ndarray, np.ndarray], Numbers]] = {
    "asinh": AsinhCodec,
    "linear": NumberCodec.standardised,
}
"""How numbers of observations are binned; new bodies get the first."""
CLIP_WARNING_SHARE = 0.01
"""A larger share of clipped observation numbers is logged, once a body (DESIGN section 3)."""
CLIP_WARNING_AFTER = 10_000
"""Numbers seen before the share is judged."""
RETURN_RANGE = (-0.5, 1.5)
"""Returns to go that have bins, as shares of the best return."""
_COMMAND_SPEC = tuple(Element(name) for name in COMMANDS)
_log = logging.getLogger(__name__)


@dataclass
class ClipCount:
    """Observation numbers encoded so far, and how many of them lay beyond their bins."""

    seen: int = 0
    clipped: int = 0
    is_warned: bool = False

    @property
    def share(self) -> float:
        """Clipped / seen, 0 before anything was seen."""
        return self.clipped / max(1, self.seen)


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation an element, (N,) float64."""

    mean_N: np.ndarray
    std_N: np.ndarray
    scale: str = "linear"
    """Of SCALES."""

    @classmethod
    def of(
        cls, mean_N: np.ndarray | None, std_N: np.ndarray | None, elements: int, label: str, scale: str = "linear"
    ) -> Statistics | None:
        """Checked copies; None where there are none."""
        if mean_N is None and std_N is None:
            return None
        if mean_N is None or std_N is None:
            raise ValueError(f"statistics of {label}: got one of mean and std; pass both, or neither for mu-law")
        mean_N, std_N = np.array(mean_N, np.float64), np.array(std_N, np.float64)
        fits = mean_N.shape == std_N.shape == (elements,)
        if not fits or not (np.isfinite(mean_N).all() and np.isfinite(std_N).all() and (std_N >= 0).all()):
            raise ValueError(
                f"statistics of {label}: got mean {mean_N.shape}, std {std_N.shape}; "
                f"allowed: finite ({elements},) with std >= 0; compute them from a checked dataset"
            )
        return cls(mean_N, std_N, scale)


class BodyCodec:
    """One body: its spec, its statistics, and the codecs of its observation and action vectors."""

    def __init__(
        self, spec: BodySpec, ranges: Ranges, *, observation: Statistics | None, action: Statistics | None
    ) -> None:
        self.spec = spec
        self.observation_statistics = observation
        self.action_statistics = action
        self.clips = ClipCount()
        is_number_O = np.array([element.kind == "continuous" for element in spec.observation], bool)
        numbers: Numbers = MuLawCodec()
        if observation is not None:
            numbers = SCALES[observation.scale](observation.mean_N[is_number_O], observation.std_N[is_number_O])
        self.observation = VectorCodec(f"{spec.name} observation", spec.observation, numbers, ranges=ranges)
        self.action = VectorCodec(f"{spec.name} action", spec.action, _action_numbers(spec, action), ranges=ranges)

    def json(self) -> dict[str, Any]:
        """Everything needed to make the body again, in JSON primitives; an infinite bound is null."""
        statistics = {"observation": self.observation_statistics, "action": self.action_statistics}
        return {
            "digest": self.spec.digest,
            "observation": [_element_json(element) for element in self.spec.observation],
            "action": [_element_json(element) for element in self.spec.action],
            "statistics": {
                key: None
                if value is None
                else {"mean": value.mean_N.tolist(), "std": value.std_N.tolist(), "scale": value.scale}
                for key, value in statistics.items()
            },
        }


class Codec:
    """The tokenizer of everything: `text`, `bodies`, and `ranges`, the layout of the one id space."""

    def __init__(self, text: TextCodec | None = None) -> None:
        self.text = text or TextCodec.load()
        self.ranges = Ranges(self.text.size)
        self.bodies: dict[str, BodyCodec] = {}
        self.best_returns: dict[str, float] = {}
        """Skill id (or dataset id, where nobody said) -> the return that returns to go are shares of."""
        self._returns = NumberCodec(*np.array(RETURN_RANGE)[:, None])
        self._commands = VectorCodec("command", _COMMAND_SPEC, MuLawCodec(), ranges=self.ranges)

    def add_body(
        self,
        spec: BodySpec,
        mean_O: np.ndarray | None,
        std_O: np.ndarray | None,
        *,
        action_mean_A: np.ndarray | None = None,
        action_std_A: np.ndarray | None = None,
        scale: str = "asinh",
    ) -> None:
        """Make a body known. One known already keeps its first statistics; None for both means mu-law.

        Action statistics are needed only where the action space has no bounds. `scale` of the observations: of SCALES.
        """
        if spec.name in self.bodies:
            self.check_body(spec)
            return
        observation = Statistics.of(mean_O, std_O, len(spec.observation), f"{spec.name} observation", scale)
        action = Statistics.of(action_mean_A, action_std_A, len(spec.action), f"{spec.name} action")
        self.bodies[spec.name] = BodyCodec(spec, self.ranges, observation=observation, action=action)

    def check_body(self, spec: BodySpec) -> None:
        """ValueError unless `spec` is the very body the statistics were taken from."""
        known = self.body(spec.name).spec
        if known.digest != spec.digest:
            raise ValueError(
                f"body {spec.name!r} does not fit: got digest {spec.digest} ({len(spec.observation)} observation, "
                f"{len(spec.action)} action elements), the model's is {known.digest} ({len(known.observation)}, "
                f"{len(known.action)}); use the environment the model was trained on, or give the body its own name"
            )

    def body(self, name: str) -> BodyCodec:
        """The codec of one body; ValueError with a near match where it is unknown."""
        if name not in self.bodies:
            raise ValueError(f"unknown body {name!r}; {near_match(name, self.bodies)}")
        return self.bodies[name]

    def encode_observation(
        self, body: str, observations: np.ndarray, *, where: str = "", mask: np.ndarray | None = None
    ) -> np.ndarray:
        """(..., O) -> ids (..., O). Numbers beyond their bins are clipped and counted, but where `mask` is False."""
        codec = self.body(body)
        ids, num_clipped = codec.observation.encode(observations, where=where, mask=mask)
        num_rows = ids[..., 0].size if mask is None else int(np.count_nonzero(mask))
        clips = codec.clips
        clips.seen += num_rows * len(codec.observation.number_columns)
        clips.clipped += num_clipped
        if clips.share > CLIP_WARNING_SHARE and clips.seen >= CLIP_WARNING_AFTER and not clips.is_warned:
            clips.is_warned = True
            _log.warning(
                "%.1f %% of %d observation numbers of %s lie beyond their bins and were clipped; "
                "do the statistics belong to this data?",
                100 * clips.share,
                clips.seen,
                body,
            )
        return ids

    def decode_observation(self, body: str, ids: np.ndarray) -> np.ndarray:
        """Ids (..., O) -> float32 bin centres (..., O)."""
        return self.body(body).observation.decode(ids)

    def encode_action(
        self, body: str, actions: np.ndarray, *, where: str = "", mask: np.ndarray | None = None
    ) -> np.ndarray:
        """(..., A) -> ids (..., A). ValueError for an action outside its box, but where `mask` (...) is False."""
        return self.body(body).action.encode(actions, where=where, mask=mask, strict=True)[0]

    def decode_action(self, body: str, ids: np.ndarray) -> np.ndarray:
        """Ids (..., A) -> float32 in the box: bin centres, the end ids the bounds. ValueError for any other id."""
        return self.body(body).action.decode(ids)

    def encode_command(self, commands: np.ndarray, *, where: str = "") -> np.ndarray:
        """(..., C) in the order of COMMANDS -> number ids, -1 where NaN (absent)."""
        commands = np.asarray(commands, np.float32)
        is_absent = np.isnan(commands)
        ids, _ = self._commands.encode(np.where(is_absent, np.float32(0), commands), where=where)
        ids[is_absent] = -1
        return ids

    def decode_command(self, ids: np.ndarray) -> np.ndarray:
        """Number ids (..., C) -> float32, NaN where -1."""
        is_absent = np.asarray(ids) == -1
        values = self._commands.decode(np.where(is_absent, self.ranges.number_start, ids))
        values[is_absent] = np.nan
        return values

    def encode_returns(self, returns: np.ndarray) -> np.ndarray:
        """Shares of the best return (...) -> number ids, -1 where NaN (absent); beyond RETURN_RANGE the end bins."""
        returns = np.asarray(returns, np.float32)
        is_absent = np.isnan(returns)
        known = np.where(is_absent, np.float32(0), returns)[..., None]
        ids = self._returns.encode(known, start=self.ranges.number_start)[0][..., 0]
        ids[is_absent] = -1
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Ids of the normalised text; [] for none."""
        return self.text.encode(text)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json, then codec.json with its hash: where codec.json stands, both are whole."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "tokenizer_sha256": self.text.digest,
            "bodies": {name: body.json() for name, body in self.bodies.items()},
            "best_returns": self.best_returns,
        }
        write_atomic(folder / TOKENIZER_FILE, self.text.json.encode())
        write_atomic(folder / CODEC_FILE, _dump({**content, "sha256": _digest(content)}).encode())

    @classmethod
    def load(cls, folder: Path) -> Codec:
        """Read what `save` wrote; ValueError if a file is missing, altered or of another format."""
        folder = Path(folder)
        missing = [name for name in (CODEC_FILE, TOKENIZER_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {', '.join(missing)}; the model folder is incomplete: copy it again")
        content = _read(folder / CODEC_FILE)
        codec = cls(_read_text_codec(folder / TOKENIZER_FILE, content["tokenizer_sha256"]))
        codec.best_returns |= content.get("best_returns", {})
        for name, body in content["bodies"].items():
            spec = BodySpec(name, _elements(body["observation"]), _elements(body["action"]))
            observation, action = body["statistics"]["observation"] or {}, body["statistics"]["action"] or {}
            codec.add_body(
                spec,
                observation.get("mean"),
                observation.get("std"),
                action_mean_A=action.get("mean"),
                action_std_A=action.get("std"),
                scale=observation.get("scale", "linear"),
            )
            if spec.digest != body["digest"]:
                raise ValueError(f"{folder / CODEC_FILE}: body {name!r} has digest {spec.digest}, not {body['digest']}")
        return codec


def _action_numbers(spec: BodySpec, action: Statistics | None) -> NumberCodec:
    """Bins over the box; an element without finite bounds takes its mean -+ 4 deviations, cut at a bound it has."""
    columns = [index for index, element in enumerate(spec.action) if element.kind == "continuous"]
    low_N, high_N = spec.action_low[columns], spec.action_high[columns]
    with np.errstate(over="ignore", invalid="ignore"):
        is_open_N = ~np.isfinite(high_N - low_N)
    if not is_open_N.any():
        return NumberCodec(low_N, high_N, exact_ends=True)
    if action is None:
        names = [spec.action[columns[index]].name for index in np.flatnonzero(is_open_N)]
        raise ValueError(
            f"{spec.name} actions {names} have no bounds; pass action_mean_A and action_std_A, whose 4 deviations "
            "become the range"
        )
    spread = NumberCodec.standardised(action.mean_N[columns], action.std_N[columns])
    return NumberCodec(
        np.where(is_open_N, np.maximum(low_N, spread.low_N), low_N),
        np.where(is_open_N, np.minimum(high_N, spread.high_N), high_N),
        exact_ends=True,
    )


def _element_json(element: Element) -> list[Any]:
    bounds = (element.low, element.high)
    return [element.name, element.kind, *(bound if math.isfinite(bound) else None for bound in bounds)]


def _elements(listed: list[list[Any]]) -> tuple[Element, ...]:
    return tuple(
        Element(name, kind, -np.inf if low is None else low, np.inf if high is None else high)
        for name, kind, low, high in listed
    )


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_dump(content).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole JSON ({error}); copy the model folder again") from error
    stated = content.pop("sha256", None) if isinstance(content, dict) else None
    if stated is None or content.get("format") not in FORMATS or _digest(content) != stated:
        raise ValueError(f"{path} was altered or is of another format (not {FORMATS}); copy the model folder again")
    return content


def _read_text_codec(path: Path, stated: str) -> TextCodec:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != stated:
        raise ValueError(f"{path} was altered: sha256 {found}, codec.json states {stated}; copy the model folder again")
    return TextCodec.load(path)
