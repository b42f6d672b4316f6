"""Does a body know what is meant, and when nothing is?

    python benchmarks/speech.py [--encoder FOLDER] [--calibrate] [--layers]

Sentences written by hand in benchmarks/sentences: `calibration.tsv`, on which the threshold was set (--calibrate shows
how), and `test.tsv`, written by somebody who had seen neither the grammar nor gato/language, and used for nothing else.
The last 28 of it, which mean no skill, were added by somebody who had read all the others, so as to repeat none, before
anything heard them. What a body's layer has learned of the grammar and the sayings is left out of both, and what the
calibration has of the test, by letters alone. A sentence that is wrongly declined counts as wrong. Writes
benchmarks/results/speech.json.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from gato.language import classifier
from gato.language.classifier import SentenceClassifier
from gato.language.encoder import SentenceEncoder
from gato.language.sayings import examples
from gato.language.speech import Heard, Listener, offered
from gato.runs import write_json
from gato.skills.bodies import BODIES
from gato.specs import share_interval

HERE = Path(__file__).parent
SENTENCES, RESULT = HERE / "sentences", HERE / "results" / "speech.json"
NONE = "none"
Row = tuple[str, str, str]
"""Body, sentence, name of the skill that is meant, or none."""


def read(name: str) -> list[Row]:
    """The sentences of one file."""
    lines = (SENTENCES / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [(body, sentence, skill) for body, sentence, skill in rows]


def letters(sentence: str) -> str:
    """What is left of it without case, blanks and stops: "Freeze!" is "freeze"."""
    return "".join(filter(str.isalpha, sentence.casefold()))


def unknown(rows: list[Row], others: list[Row]) -> list[Row]:
    """Those that neither the body's layer has learned nor the others hold, by their letters."""
    held = {letters(sentence) for _, sentence, _ in others}
    learned = {
        body: {letters(sentence) for sentence, _ in examples(offered(body))} for body in {body for body, *_ in rows}
    }
    return [row for row in rows if letters(row[1]) not in held | learned[row[0]]]


def measure(listener: Listener, rows: list[Row]) -> dict[str, Any]:
    """Shares with intervals, milliseconds a sentence, and every mistake."""
    for body in {body for body, *_ in rows}:
        listener.hear(body, "hello")
    heard, milliseconds = [], []
    for body, sentence, _ in rows:
        began = time.perf_counter()
        heard.append(listener.hear(body, sentence))
        milliseconds.append(1e3 * (time.perf_counter() - began))
    pairs = list(zip(rows, heard, strict=True))
    meant = [(row, one) for row, one in pairs if row[2] != NONE]
    foreign = [one for row, one in pairs if row[2] == NONE]
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {
        "right skill": _share([_name(one) == row[2] for row, one in meant]),
        "right skill, had it to choose one": _share([one.ranked[0][0] == f"{row[0]}/{row[2]}" for row, one in meant]),
        "declined": _share([one.skill is None for one in foreign]),
        "milliseconds": {"p50": round(float(p50), 2), "p99": round(float(p99), 2)},
        "mistakes": [
            f"{row[0]}: {row[1]} ({row[2]}) -> {_name(one)} {one.meant:.2f}"
            for row, one in pairs
            if _name(one) != row[2]
        ],
    }


def calibrate(listener: Listener, rows: list[Row]) -> str:
    """Both shares at every threshold."""
    heard = [(row, listener.hear(row[0], row[1])) for row in rows]
    lines = ["threshold  right  declined"]
    for threshold in np.arange(0.05, 1, 0.05):
        right = [
            one.meant >= threshold and one.is_clear and one.ranked[0][0] == f"{row[0]}/{row[2]}"
            for row, one in heard
            if row[2] != NONE
        ]
        declined = [one.meant < threshold or not one.is_clear for row, one in heard if row[2] == NONE]
        lines.append(f"{threshold:9.2f}  {np.mean(right):.3f}  {np.mean(declined):.3f}")
    return "\n".join(lines)


def write_layers() -> None:
    """Those that come with Gato, of every body."""
    shutil.rmtree(classifier.SHIPPED, ignore_errors=True)
    found = SentenceClassifier(SentenceEncoder.load())
    for body in BODIES:
        found.chances(offered(body), "hello")
        learned = classifier.layer_path(classifier.layer_name(found.encoder, examples(offered(body))))
        classifier.SHIPPED.mkdir(exist_ok=True)
        shutil.copy(learned, classifier.SHIPPED)


def _name(one: Heard) -> str:
    return NONE if one.skill is None else one.skill.split("/")[1]


def _share(is_right: list[bool]) -> dict[str, Any]:
    low, high = share_interval(sum(is_right), len(is_right))
    return {
        "mean": round(sum(is_right) / len(is_right), 4),
        "ci95": [round(low, 4), round(high, 4)],
        "of": len(is_right),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--layers", action="store_true")
    given = parser.parse_args()
    if given.layers:
        write_layers()
    listener = Listener(SentenceClassifier(SentenceEncoder.load(given.encoder)))
    calibration, test = unknown(read("calibration"), []), unknown(read("test"), read("calibration"))
    if given.calibrate:
        print(calibrate(listener, calibration))
        return
    found = {"calibration": measure(listener, calibration), "test": measure(listener, test)}
    del found["test"]["mistakes"]  # who looks at them tunes on them
    for name, one in found.items():
        shares = [f"{key} {one[key]['mean']:.3f} {one[key]['ci95']}" for key in list(one)[:3]]
        print(f"{name}: " + ", ".join(shares) + f"; {one['milliseconds']['p50']} ms")
        print("\n".join(f"    {mistake}" for mistake in one.get("mistakes", ())))
    write_json(RESULT, {"encoder": given.encoder or "all-MiniLM-L6-v2", **found})


if __name__ == "__main__":
    main()
