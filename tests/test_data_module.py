"""The data module: token rows, the same whoever builds them and after any interruption."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import jsonargparse
import lightning
import numpy as np
import pytest
import torch

from gato.data.minari_io import open_dataset
from gato.data.mixture import Source
from gato.data.module import GatoDataModule
from gato.record import Recording, record_skill
from gato.sequences import Layout
from gato.specs import Rows

LAYOUT = Layout(window_steps=6, demonstration_steps=3)


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    root = tmp_path_factory.mktemp("module")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        patch.setenv("GATO_CACHE", str(root / "cache"))
        recordings = [
            Recording("hopper/hop-forward", episodes=8, expert="random"),
            Recording("CartPole-v1", episodes=8, expert="random"),
            Recording("Pendulum-v1", episodes=4, expert="random"),
        ]
        yield tuple(record_skill(one) for one in recordings)


def module(ids: tuple[str, ...], **settings: object) -> GatoDataModule:
    data = GatoDataModule([Source(one) for one in ids], LAYOUT, **{"batch_size": 9, **settings})  # type: ignore[arg-type]
    data.prepare_data()
    data.setup()
    return data


def take(stream: object, count: int) -> list[list[Rows]]:
    return list(islice(stream, count))  # type: ignore[call-overload]


def same(one: list[Rows], other: list[Rows]) -> bool:
    return all(
        np.array_equal(getattr(mine, name), getattr(theirs, name))
        for mine, theirs in zip(one, other, strict=True)
        for name in vars(mine)
        if name != "body"
    )


def test_a_batch_holds_one_rows_a_body(ids: tuple[str, ...]) -> None:
    batch = take(module(ids).train_dataloader(), 1)[0]
    assert [rows.body for rows in batch] == ["hopper", "cart-pole", "pendulum"]
    assert batch[0].observation_BTO.shape == (3, 6, 11)
    assert batch[0].observation_BTO.dtype == np.int64
    assert batch[1].action_BTA.shape == (3, 6, 1)


def test_discrete_actions_get_discrete_ids(ids: tuple[str, ...]) -> None:
    data = module(ids)
    rows = take(data.train_dataloader(), 1)[0][1]
    assert data.codec is not None
    values = data.codec.decode_action("cart-pole", rows.action_BTA)
    assert set(np.unique(values)) == {0.0, 1.0}


def test_workers_change_nothing(ids: tuple[str, ...]) -> None:
    alone = take(module(ids).train_dataloader(), 6)
    together = take(module(ids, num_workers=2).train_dataloader(), 6)
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


def test_validation_is_the_same_few_batches_of_held_out_episodes(ids: tuple[str, ...]) -> None:
    data = module(ids, validation_batches=3)
    first, second = list(data.val_dataloader()), list(data.val_dataloader())
    assert len(first) == 3
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert not same(first[0], take(data.train_dataloader(), 1)[0])
    assert module(ids, validation_share=0.0).val_dataloader() == []


def test_a_given_codec_keeps_the_statistics_it_has(ids: tuple[str, ...]) -> None:
    first = module(ids[:1])
    assert first.codec is not None
    mean = first.codec.body("hopper").observation_statistics.mean_N  # type: ignore[union-attr]
    record_skill(Recording("hopper/hop-backward", episodes=2, expert="random", seed=5), overwrite=True)
    second = GatoDataModule([Source("gato/hopper/hop-backward-v0"), Source(ids[1])], LAYOUT, batch_size=4)
    second.codec = first.codec
    second.setup()
    assert second.codec.body("hopper").observation_statistics.mean_N is mean  # type: ignore[union-attr]
    assert set(second.codec.bodies) == {"hopper", "cart-pole"}


class Listener(lightning.LightningModule):
    """Learns nothing, remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[Rows]] = []

    def training_step(self, batch: list[Rows], batch_index: int) -> torch.Tensor:
        self.seen.append(batch)
        return self.weight * 0.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("accumulate", "epoch"), [(1, None), (2, None), (1, 2)])
def test_a_resumed_run_sees_the_batches_it_would_have_seen(
    ids: tuple[str, ...], tmp_path: Path, accumulate: int, epoch: int | None
) -> None:
    """With one endless epoch, or epochs of a few batches, each of which begins its dataloader anew.

    Not both: resumed where an epoch ended, Lightning 2.6 gives the first accumulation one batch too few.
    """

    def run(steps: int, checkpoint: Path | None = None) -> tuple[lightning.Trainer, list[list[Rows]]]:
        trainer = lightning.Trainer(
            max_steps=steps,
            max_epochs=-1,
            limit_train_batches=2 * epoch if epoch else None,
            accumulate_grad_batches=accumulate,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        listener = Listener()
        trainer.fit(listener, module(ids), ckpt_path=checkpoint, weights_only=True)
        return trainer, listener.seen

    _, whole = run(6)
    trainer, first = run(4)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    _, rest = run(6, tmp_path / "run.ckpt")
    assert len(whole) == 6 * accumulate
    assert len(first) + len(rest) == len(whole)
    assert all(same(one, other) for one, other in zip(first + rest, whole, strict=True))
    assert not same(whole[0], whole[1])


def test_the_mixture_is_read_from_a_config(ids: tuple[str, ...]) -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GatoDataModule, "data")
    config = parser.parse_object({"data": {"datasets": [{"id": ids[0], "weight": 2, "prompts": {"language": 1}}]}})
    data = parser.instantiate(config).data
    assert data.sources == (Source(ids[0], 2, {"language": 1}),)
    with pytest.raises(ValueError, match='"langage": did you mean "language"'):
        wrong = parser.parse_object({"data": {"datasets": [{"id": ids[0], "prompts": {"langage": 1}}]}})
        parser.instantiate(wrong)


def test_an_empty_mixture_and_an_unknown_dataset_are_refused(ids: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="datasets is empty"):
        GatoDataModule([])
    with pytest.raises(ValueError, match=f'did you mean "{ids[0]}"'):
        GatoDataModule([Source(ids[0].replace("hop-", "hopp-"))]).prepare_data()
    assert open_dataset(ids[0]).num_episodes == 8


def test_the_temperature_of_the_mixture_makes_weights_alike() -> None:
    sources = [Source("gato/hopper/hop-forward-v0", 9.0), Source("gato/hopper/hop-backward-v0", 4.0)]
    assert [one.weight for one in GatoDataModule(sources, temperature=2.0).sources] == [3.0, 2.0]
    assert [one.weight for one in GatoDataModule(sources).sources] == [9.0, 4.0]
    with pytest.raises(ValueError, match=r"temperature is 0\.0; more than 0 is needed"):
        GatoDataModule(sources, temperature=0.0)
