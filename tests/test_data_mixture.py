"""The mixture: pure in (seed, batch), constant shapes, windows and prompts cut as promised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gato.data.cache import Cache, open_cache
from gato.data.minari_io import open_dataset
from gato.data.mixture import Mixture, Source, WindowShape, held_out_episodes, rows_per_body
from gato.record import Recording, record_skill
from gato.skills.table import get_skill
from gato.specs import Windows

SHAPE = WindowShape(window_steps=8, demonstration_steps=4)
SKILLS = ("half-cheetah/run-forward", "half-cheetah/run-backward")


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> list[Cache]:
    """Both half-cheetah skills, switches between them, and a hopper."""
    root = tmp_path_factory.mktemp("mixture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root / "minari"))
        patch.setenv("GATO_CACHE", str(root / "cache"))
        (root / "minari").mkdir()
        settings = {"episodes": 3, "expert": "random", "noise": (0.2,)}
        envs = (*SKILLS, "half-cheetah", "hopper/hop-forward")
        # Each has its own seed: random actions from one seed would be the same episode under every skill.
        recordings = [
            Recording(env, seed=seed, switch=SKILLS if env == "half-cheetah" else (), **settings)  # type: ignore[arg-type]
            for seed, env in enumerate(envs)
        ]
        return [open_cache(open_dataset(record_skill(one))) for one in recordings]


def mixed(caches: list[Cache], *, seed: int = 0, batch_size: int = 32, **source: object) -> Mixture:
    sources = [Source(cache.dataset.id, **source) for cache in caches]  # type: ignore[arg-type]
    return Mixture(caches, sources, SHAPE, batch_size=batch_size, seed=seed, held_out=0.0)


def arrays(windows: Windows) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(windows).items() if isinstance(value, np.ndarray)}


def same(one: Windows, other: Windows) -> bool:
    mine, theirs = arrays(one), arrays(other)
    return one.prompts == other.prompts and all(
        np.array_equal(mine[name], theirs[name], equal_nan=mine[name].dtype.kind == "f") for name in mine
    )


def find(cache: Cache, observation_O: np.ndarray) -> int:
    """The flat step of an observation (random actions: each is unique)."""
    places = np.flatnonzero((cache.observations_TO == observation_O).all(1))
    assert len(places) == 1
    return int(places[0])


def test_a_batch_is_a_pure_function_of_seed_and_number(caches: list[Cache]) -> None:
    first, second = mixed(caches), mixed(caches)
    later = [second.draw(number) for number in (5, 2, 0)][::-1]
    for windows, again in zip([first.draw(number) for number in (0, 2, 5)], later, strict=True):
        assert all(same(one, other) for one, other in zip(windows, again, strict=True))
    assert not same(first.draw(0)[0], first.draw(1)[0])
    assert not same(first.draw(0)[0], mixed(caches, seed=1).draw(0)[0])


def test_every_batch_has_the_same_rows_of_each_body(caches: list[Cache]) -> None:
    mixture = mixed(caches)
    assert mixture.rows == {"half-cheetah": 24, "hopper": 8}
    shapes = {tuple((one.body, one.observations_BTO.shape) for one in mixture.draw(number)) for number in range(20)}
    assert shapes == {(("half-cheetah", (24, 8, 17)), ("hopper", (8, 8, 11)))}


def test_rows_follow_the_weights_and_no_body_is_left_out() -> None:
    assert rows_per_body({"a": 3.0, "b": 1.0}, 10) == {"a": 7, "b": 3}
    assert rows_per_body({"a": 1000.0, "b": 1.0, "c": 1.0}, 4) == {"a": 2, "b": 1, "c": 1}
    assert sum(rows_per_body({"a": 1.0, "b": 1.0, "c": 1.0}, 128).values()) == 128
    with pytest.raises(ValueError, match="batch_size is 1; the mixture has 2 bodies"):
        rows_per_body({"a": 1.0, "b": 1.0}, 1)


def test_windows_are_runs_of_consecutive_steps_with_their_actions(caches: list[Cache]) -> None:
    cache = caches[3]
    for windows in (mixed([cache]).draw(number)[0] for number in range(5)):
        for row in range(len(windows.prompts)):
            length = int(windows.step_mask_BT[row].sum())
            assert windows.step_mask_BT[row, :length].all()
            start = find(cache, windows.observations_BTO[row, 0])
            steps = slice(start, start + length)
            assert np.array_equal(windows.observations_BTO[row, :length], cache.observations_TO[steps])
            assert np.array_equal(windows.actions_BTA[row, :length], cache.actions_TA[steps])
            assert np.array_equal(windows.targets_BTA[row, :length], cache.targets_TA[steps])
            episode = np.searchsorted(cache.offsets, start, side="right") - 1
            assert start + length <= cache.offsets[episode + 1], "no window crosses into another episode"


def test_short_contexts_and_starts_of_episodes_are_drawn(caches: list[Cache]) -> None:
    windows = [mixed(caches[:1], batch_size=200).draw(number)[0] for number in range(5)]
    lengths = np.concatenate([one.step_mask_BT.sum(1) for one in windows])
    assert 0.15 < np.mean(lengths < 8) < 0.3
    assert set(lengths) == set(range(1, 9))
    firsts = caches[0].observations_TO[caches[0].offsets[:-1]]
    starts = np.concatenate([one.observations_BTO[:, 0] for one in windows])
    assert 0.06 < np.mean([(firsts == start).all(1).any() for start in starts]) < 0.15


def test_across_a_switch_the_loss_counts_after_it_under_the_newest_prompt(caches: list[Cache]) -> None:
    switching = caches[2]
    windows = mixed([switching], batch_size=64, prompts={"language": 1.0}).draw(0)[0]
    straddling = 0
    for row, prompt in enumerate(windows.prompts):
        length = int(windows.step_mask_BT[row].sum())
        start = find(switching, windows.observations_BTO[row, 0])
        prompt_ids = switching.prompt_ids_T[start : start + length]
        newest = prompt_ids == prompt_ids[-1]
        expected = np.cumprod(newest[::-1])[::-1].astype(bool)
        assert np.array_equal(windows.loss_mask_BT[row, :length], expected)
        assert not windows.loss_mask_BT[row, length:].any()
        straddling += not newest.all()
        skill = get_skill(SKILLS[prompt_ids[-1]])
        if prompt in get_skill(SKILLS[0]).phrases() + get_skill(SKILLS[1]).phrases():
            assert prompt in skill.phrases()
    assert straddling > 15


def test_language_alone_gives_words_and_nothing_else(caches: list[Cache]) -> None:
    windows = mixed(caches[:1], batch_size=200, prompts={"language": 1.0}).draw(0)[0]
    assert all(windows.prompts)
    assert windows.demonstration_BNO.shape == (200, 0, 17)
    assert np.isnan(windows.command_BC).all()
    share = np.mean([prompt == "run forward" for prompt in windows.prompts])
    assert 0.15 < share < 0.35, "the canonical prompt has a quarter"
    known = set(get_skill(SKILLS[0]).phrases())
    assert 0.02 < np.mean([prompt not in known for prompt in windows.prompts]) < 0.2, "some have a typing mistake"


def test_no_prompt_at_all_is_drawn_by_its_share(caches: list[Cache]) -> None:
    windows = mixed(caches[:1], batch_size=200, prompts={"language": 0.5, "none": 0.5}).draw(0)[0]
    assert 0.4 < np.mean([prompt == "" for prompt in windows.prompts]) < 0.6


def test_a_command_is_what_will_be_measured_ahead(caches: list[Cache]) -> None:
    cache = caches[0]
    windows = mixed([cache], batch_size=50, prompts={"command": 1.0}).draw(0)[0]
    assert windows.prompts == ("",) * 50
    for row in range(50):
        start = find(cache, windows.observations_BTO[row, 0])
        end = cache.offsets[np.searchsorted(cache.offsets, start, side="right")]
        ahead = cache.commands_TC[start : min(start + 50, end), 0]
        means = np.cumsum(ahead) / np.arange(1, len(ahead) + 1)
        assert np.isclose(means[min(19, len(means) - 1) :], windows.command_BC[row, 0], atol=1e-4).any()
    assert np.isnan(windows.command_BC[:, 1:]).all()


def test_demonstrations_are_of_another_episode_of_the_same_skill(caches: list[Cache]) -> None:
    windows = mixed(caches[:3], batch_size=60, prompts={"demonstration": 1.0}).draw(0)[0]
    assert windows.demonstration_mask_BN.all()
    plain = caches[:2]
    ends = 0
    for row in range(60):
        shown = [np.flatnonzero((one.observations_TO == windows.demonstration_BNO[row, 0]).all(1)) for one in plain]
        skill = int(len(shown[1]) > 0)
        place = int(shown[skill][0])
        assert np.array_equal(windows.demonstration_BNA[row], plain[skill].actions_TA[place : place + 4])
        offsets = plain[skill].offsets
        ends += place + 4 in offsets
        for cache in caches[:3]:
            own = np.flatnonzero((cache.observations_TO == windows.observations_BTO[row, 0]).all(1))
            if not len(own):
                continue
            last = own[0] + int(windows.step_mask_BT[row].sum()) - 1
            assert cache.skill(int(cache.prompt_ids_T[last])) == SKILLS[skill]
            if cache is plain[skill]:
                assert np.searchsorted(offsets, own[0], "right") != np.searchsorted(offsets, place, "right")
    assert 15 < ends < 45, "half of them are the end"


@pytest.mark.parametrize("skills", [SKILLS, ("half-cheetah/command",) * 2])
def test_a_dataset_of_several_tasks_shows_each_episode_under_its_own(
    caches: list[Cache], skills: tuple[str, ...]
) -> None:
    """One without a switch was named after its first step, so that its other tasks were shown as that one.

    Commands of one skill are tasks apart, told by their words.
    """
    plain = caches[0]
    prompt_ids_T = np.repeat([0, 1, 1], np.diff(plain.offsets)).astype(plain.prompt_ids_T.dtype)
    dataset = dataclasses.replace(plain.dataset, skills=skills, prompts=(("go forward",), ("go backward",)))
    several = dataclasses.replace(plain, dataset=dataset, prompt_ids_T=prompt_ids_T)
    windows = mixed([several], batch_size=60, prompts={"demonstration": 1.0}).draw(0)[0]
    for row in range(60):
        own = np.searchsorted(plain.offsets, find(plain, windows.observations_BTO[row, 0]), "right") - 1
        is_shown = windows.demonstration_mask_BN[row].any()
        assert is_shown == (own > 0), "the first episode is the only one of its task"
        if is_shown:
            shown = np.searchsorted(plain.offsets, find(plain, windows.demonstration_BNO[row, 0]), "right") - 1
            assert {own, shown} == {1, 2}


def test_demonstrations_are_drawn_for_whole_batches(caches: list[Cache]) -> None:
    mixture = mixed(caches, prompts={"language": 0.7, "demonstration": 0.3})
    widths = [tuple(one.demonstration_BNO.shape[1] for one in mixture.draw(number)) for number in range(200)]
    assert set(widths) == {(0, 0), (4, 4)}
    assert 0.2 < np.mean([width == (4, 4) for width in widths]) < 0.4


def test_held_out_episodes_are_never_trained_on(caches: list[Cache]) -> None:
    assert held_out_episodes(40, 0.05).nonzero()[0].tolist() == [19, 39]
    assert held_out_episodes(3, 0.05).tolist() == [False, False, True]
    assert not held_out_episodes(1, 0.05).any() and not held_out_episodes(40, 0.0).any()
    cache = caches[0]
    for is_validation in (False, True):
        mixture = Mixture(
            [cache], [Source("x")], SHAPE, batch_size=40, seed=0, held_out=0.34, is_validation=is_validation
        )
        starts = [find(cache, one) for one in mixture.draw(0)[0].observations_BTO[:, 0]]
        assert all((start >= cache.offsets[2]) == is_validation for start in starts)


def test_two_bodies_of_one_name_are_refused(caches: list[Cache]) -> None:
    other = dataclasses.replace(caches[3].dataset.spec, name="half-cheetah")
    wrong = dataclasses.replace(caches[3], dataset=dataclasses.replace(caches[3].dataset, spec=other))
    with pytest.raises(ValueError, match="of different bodies, both named half-cheetah"):
        mixed([caches[0], wrong])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompts": {"langage": 1.0}}, 'unknown prompt form "langage": did you mean "language"'),
        ({"weight": 0.0}, "weight is 0.0; more than 0"),
        ({"prompts": {"language": -1.0}}, "shares of at least 0"),
    ],
)
def test_a_wrong_source_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source("gato/hopper/hop-forward-v0", **settings)  # type: ignore[arg-type]
