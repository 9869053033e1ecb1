"""Random numbers of sampling: keys, seeds and generators."""

import pytest
import torch

from jcdm.errors import ConfigError
from jcdm.pipelines.noise import GeneratorNoise, KeyedNoise, noise_source


def test_keyed_numbers_depend_on_key_and_purpose_alone():
    together = KeyedNoise(torch.tensor([1, 2])).normal("a", (3,))
    assert torch.equal(KeyedNoise(torch.tensor([2])).normal("a", (3,))[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(KeyedNoise(torch.tensor([1, 2])).normal("b", (3,)), together)


def test_keyed_generators_are_one_a_person_and_repeatable():
    first, again = (KeyedNoise(torch.tensor([1, 2])).generators() for _ in range(2))
    drawn = [torch.randn(3, generator=g) for g in first]
    assert torch.equal(torch.randn(3, generator=again[1]), drawn[1])
    assert not torch.equal(drawn[0], drawn[1])


def test_equal_seeds_give_equal_people():
    numbers = KeyedNoise.from_seeds([5, 5, 6]).normal("a", (4,))
    assert torch.equal(numbers[0], numbers[1])
    assert not torch.equal(numbers[0], numbers[2])


def test_one_generator_serves_all_and_a_list_each_its_own():
    one = GeneratorNoise(torch.Generator().manual_seed(0), 2).normal("", (3,))
    assert torch.equal(one, torch.randn(2, 3, generator=torch.Generator().manual_seed(0)))
    each = [torch.Generator().manual_seed(s) for s in (0, 1)]
    listed = GeneratorNoise(each, 2)
    expected = torch.randn(3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(listed.normal("", (3,))[1], expected)
    assert listed.generators() == each


def test_seeds_and_generators_are_counted():
    with pytest.raises(ConfigError, match="1 generators for 2"):
        GeneratorNoise([torch.Generator()], 2)
    with pytest.raises(ConfigError, match="3 seeds for 2"):
        noise_source(None, [1, 2, 3], 2)
    with pytest.raises(ConfigError, match="both"):
        noise_source(torch.Generator(), 1, 1)
