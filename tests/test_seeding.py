import torch

from jcdm.seeding import draw_integers, draw_normal, draw_uniform, sample_key

KEYS = torch.tensor([sample_key(0, 0, i) for i in range(200)])


def test_numbers_do_not_depend_on_the_batch():
    together = draw_normal(KEYS, "noise", (3, 4))
    alone = torch.cat([draw_normal(key[None], "noise", (3, 4)) for key in KEYS.flip(0)]).flip(0)
    assert torch.equal(together, alone)


def test_purposes_and_keys_give_different_numbers():
    assert not torch.equal(draw_normal(KEYS, "noise", (8,)), draw_normal(KEYS, "vae", (8,)))
    assert len({sample_key(s, e, i) for s in range(5) for e in range(5) for i in range(50)}) == 1250


def test_drawing_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    draw_normal(KEYS, "noise", (2,))
    assert torch.equal(state, torch.get_rng_state())


def test_distributions():
    normal = draw_normal(KEYS, "noise", (100,))
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    uniform = draw_uniform(KEYS, "drop", (50,))
    assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.02
    integers = draw_integers(KEYS, "timestep", 10, (50,))
    assert integers.dtype == torch.int64 and integers.unique().tolist() == list(range(10))
