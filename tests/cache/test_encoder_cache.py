"""The encoder cache: built in parts, read in any order, refused where it does not fit."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from jcdm.cache import build, reader
from jcdm.cache.build import CacheBuilder, CacheWork
from jcdm.cache.layout import MANIFEST, CacheIdentity, read_manifest, shard_name
from jcdm.cache.reader import EncoderCache
from jcdm.cache.verify import find_problems
from jcdm.data.images import load_image
from jcdm.data.index import read_index
from jcdm.data.synthetic import write_dataset
from jcdm.data.transforms import clip_pixels, fit_view, image_tensor
from jcdm.errors import ConfigError, DataError
from jcdm.models.encoders import FrozenCLIPVision, FrozenVAE
from jcdm.models.identity import weights_hash

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"
SIZE = (64, 48)


@pytest.fixture(scope="module")
def encoders() -> tuple[FrozenVAE, FrozenCLIPVision]:
    return FrozenVAE.from_folder(TINY / "vae"), FrozenCLIPVision.from_folder(TINY / "image_encoder")


@pytest.fixture(scope="module")
def identity(encoders: tuple[FrozenVAE, FrozenCLIPVision]) -> CacheIdentity:
    vae, clip = encoders
    return CacheIdentity(
        vae=weights_hash(vae),
        image_encoder=weights_hash(clip),
        height=SIZE[0],
        width=SIZE[1],
        fit="letterbox",
        clip_size=clip.image_size,
        clip_fit="pad",
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs of three people, one of them a copy of another under a second name."""
    folder = tmp_path_factory.mktemp("people")
    return write_dataset(folder, num_identities=3, seed=2, size=(80, 50), num_views=4)


def pictures(index: Path) -> list[Path]:
    return sorted({view.image for record in read_index(index) for view in record.views})


@pytest.fixture(scope="module")
def builder(
    tmp_path_factory: pytest.TempPathFactory,
    encoders: tuple[FrozenVAE, FrozenCLIPVision],
    identity: CacheIdentity,
) -> CacheBuilder:
    folder = tmp_path_factory.mktemp("cache")
    return CacheBuilder(folder=folder, identity=identity, vae=encoders[0], clip=encoders[1])


@pytest.fixture(scope="module")
def cache(builder: CacheBuilder, index: Path) -> EncoderCache:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "ROWS_PER_SHARD", 5)
        builder.build(pictures(index), index, CacheWork())
    return EncoderCache(builder.folder, index)


def test_a_row_is_what_the_encoders_make_of_the_picture_and_its_mirror_image(
    cache: EncoderCache, index: Path, encoders: tuple[FrozenVAE, FrozenCLIPVision]
) -> None:
    vae, clip = encoders
    for number, path in enumerate(pictures(index)):
        photo = load_image(path)
        for flip in (False, True):
            shown = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else photo
            picture = image_tensor(fit_view(shown, SIZE, "letterbox")[0])
            moments = vae.encode(picture[None])
            found = cache.load(path, flip=flip)
            torch.testing.assert_close(found.mean, moments.mean[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(found.std, moments.std[0], rtol=1e-4, atol=1e-5)
            square = clip_pixels(shown, clip.image_size, "pad")
            expected = clip.embed(square[None])[0]
            torch.testing.assert_close(found.appearance, expected, rtol=1e-4, atol=1e-4)
            assert found.size == (80, 50)
        if number == 3:
            break
    black = vae.encode(torch.full((1, 3, *SIZE), -1.0)).mean[0]
    torch.testing.assert_close(cache.black.mean, black, rtol=1e-4, atol=1e-4)


def test_a_second_build_encodes_nothing_and_a_cut_one_what_is_missing(
    builder: CacheBuilder, cache: EncoderCache, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ROWS_PER_SHARD", 5)
    encoded: list[int] = []
    plain = CacheBuilder.encode
    monkeypatch.setattr(
        CacheBuilder, "encode", lambda self, shown: encoded.append(len(shown)) or plain(self, shown)
    )
    before = {p.name: p.read_bytes() for p in builder.folder.iterdir()}
    builder.build(pictures(index), index, CacheWork())
    assert not encoded
    (builder.folder / shard_name(1)).unlink()
    damaged = builder.folder / shard_name(2)
    begun = damaged.read_bytes()[:100]
    damaged.unlink()  # another file: the old one may be mapped into memory
    damaged.write_bytes(begun)
    builder.build(pictures(index), index, CacheWork())
    assert sum(encoded) == 5 + len(pictures(index)) - 10
    assert {p.name: p.read_bytes() for p in builder.folder.iterdir()} == before


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_processes_share_the_shards_and_build_the_same(
    builder: CacheBuilder,
    cache: EncoderCache,
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    num_ranks: int,
) -> None:
    """The ranks one after another; what a rank would hear of the others is computed beforehand."""
    monkeypatch.setattr(build, "ROWS_PER_SHARD", 5)
    paths = pictures(index)
    whole = read_manifest((builder.folder / MANIFEST).read_text(), "whole")
    by_path = {p: whole.photographs[reader.photograph_name(p, index.parent)] for p in paths}
    facts = [
        (str(p), build.FileFacts(sha256=f.sha256, num_bytes=f.num_bytes, modified=f.modified))
        for p, f in by_path.items()
    ]
    sizes = [(f.sha256, (f.height, f.width)) for f in by_path.values()]
    mine = replace(builder, folder=tmp_path / "shared")
    for rank in reversed(range(num_ranks)):
        answers = iter([facts, sizes])
        work = CacheWork(rank=rank, num_ranks=num_ranks, gather=lambda _, a=answers: next(a))
        assert (mine.build(paths, index, work) is None) == (rank > 0)
    assert (tmp_path / "shared" / MANIFEST).read_text() == (builder.folder / MANIFEST).read_text()


def test_equal_photographs_share_a_row(builder: CacheBuilder, index: Path, tmp_path: Path) -> None:
    paths = pictures(index)[:2]
    copy = tmp_path / "copy.jpg"
    shutil.copy(paths[0], copy)
    small = replace(builder, folder=tmp_path / "cache")
    manifest = small.build([*paths, copy], index, CacheWork())
    assert manifest is not None
    assert manifest.num_rows == 2 and len(manifest.photographs) == 3
    rows = {Path(name).name: facts.row for name, facts in manifest.photographs.items()}
    assert rows["copy.jpg"] == rows[paths[0].name]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vae": "0" * 64}, "vae .*this run has 000000000000"),
        ({"image_encoder": "f" * 64}, "image_encoder .*this run has ffffffffffff"),
        ({"height": 128}, "height 64, this run has 128"),
        ({"fit": "stretch"}, "fit letterbox, this run has stretch"),
        ({"clip_fit": "crop"}, "clip_fit pad, this run has crop"),
    ],
)
def test_a_foreign_cache_is_refused_by_name(
    cache: EncoderCache, identity: CacheIdentity, change: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigError, match=f"made for something else: .*{expected}"):
        cache.require(replace(identity, **change), [])  # type: ignore[arg-type]


def test_the_prior_needs_no_latents(cache: EncoderCache, identity: CacheIdentity) -> None:
    cache.require(replace(identity, vae=None, height=999, fit="crop"), [])


def test_a_stale_or_incomplete_cache_is_refused(
    builder: CacheBuilder, cache: EncoderCache, identity: CacheIdentity, index: Path, tmp_path: Path
) -> None:
    shutil.copytree(index.parent, tmp_path / "people")
    other = tmp_path / "people" / index.name
    records = read_index(other)
    moved = EncoderCache(builder.folder, other)
    moved.require(identity, records)  # times differ, contents do not
    changed = records[0].views[0].image
    Image.new("RGB", (50, 80)).save(changed)
    with pytest.raises(DataError, match=f"is stale: {changed}"):
        moved.require(identity, records)
    changed.unlink()
    moved.require(identity, records)  # what is not on disk is taken from the cache
    moved.load(changed, flip=True)
    stranger = replace(records[0].views[0], image=tmp_path / "new.jpg")
    more = (*records, replace(records[0], views=(stranger,)))
    with pytest.raises(DataError, match=r"lacks 1 of \d+ photographs, first: .*new\.jpg"):
        moved.require(identity, more)
    with pytest.raises(DataError, match="does not hold"):
        moved.load(tmp_path / "new.jpg", flip=False)


def test_problems_are_named(
    builder: CacheBuilder, cache: EncoderCache, index: Path, tmp_path: Path
) -> None:
    paths = pictures(index)
    assert not list(find_problems(cache, builder, paths, index))
    folder = tmp_path / "cache"
    shutil.copytree(builder.folder, folder)
    shard = folder / shard_name(0)
    content = bytearray(shard.read_bytes())
    content[-1000:] = bytes(1000)
    shard.write_bytes(content)
    (folder / shard_name(1)).unlink()
    (folder / "black.safetensors").rename(tmp_path / "black.safetensors")
    shutil.copy(tmp_path / "black.safetensors", folder)
    broken = replace(builder, folder=folder)
    found = "\n".join(find_problems(EncoderCache(folder, index), broken, paths, index))
    assert "shard_00000.safetensors has not the SHA-256 recorded" in found
    assert "shard_00001.safetensors is missing" in found
    assert "cannot be read as a shard" in found, "rows of it cannot be compared"


def test_half_precision_and_tokens(
    builder: CacheBuilder,
    cache: EncoderCache,
    index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = replace(builder.identity, dtype="bfloat16", patch_tokens=True)
    small = replace(builder, folder=tmp_path, identity=half)
    paths = pictures(index)[:3]
    small.build(paths, index, CacheWork())
    found = EncoderCache(tmp_path, index)
    whole, kept = (c.load(paths[2], flip=True) for c in (cache, found))
    assert kept.mean is not None and kept.mean.dtype == torch.float32
    torch.testing.assert_close(kept.mean, whole.mean, rtol=8e-3, atol=1e-3)
    tokens = found.patch_tokens(paths[2], flip=True)
    assert tokens.ndim == 2 and tokens.shape[0] > 1
    assert not torch.equal(tokens, found.patch_tokens(paths[2], flip=False))
    assert not list(find_problems(found, small, paths, index))
    plain = builder.clip.patch_tokens

    def other(squares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return builder.clip.embed(squares), -plain(squares)

    monkeypatch.setattr(builder.clip, "embed_with_tokens", other)
    problems = list(find_problems(found, small, paths, index))
    assert len(problems) == 3 and all("patch_tokens differs" in problem for problem in problems)


def test_patch_tokens_are_the_encoder_s_and_are_refused_where_they_are_not_kept(
    builder: CacheBuilder,
    cache: EncoderCache,
    identity: CacheIdentity,
    index: Path,
    tmp_path: Path,
    encoders: tuple[FrozenVAE, FrozenCLIPVision],
) -> None:
    asked = replace(identity, patch_tokens=True)
    paths = pictures(index)[:2]
    replace(builder, folder=tmp_path, identity=asked).build(paths, index, CacheWork())
    found = EncoderCache(tmp_path, index)
    shown = load_image(paths[1]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = clip_pixels(shown, encoders[1].image_size, "pad")[None]
    tokens = encoders[1].model(pixel_values=pixels).last_hidden_state[0]
    torch.testing.assert_close(
        found.patch_tokens(paths[1], flip=True), tokens, rtol=1e-4, atol=1e-4
    )
    kept, plain = found.load(paths[1], flip=True), cache.load(paths[1], flip=True)
    torch.testing.assert_close(kept.appearance, plain.appearance, rtol=1e-5, atol=1e-5)
    found.require(asked, [])
    found.require(identity, [])  # more than is asked for is no fault
    command = r"keeps no patch tokens.*python -m jcdm cache --config FILE --patch_tokens"
    with pytest.raises(ConfigError, match=command):
        cache.require(asked, [])
    with pytest.raises(ConfigError, match=command):
        cache.patch_tokens(paths[0], flip=False)
    with pytest.raises(DataError, match="does not hold"):
        found.patch_tokens(tmp_path / "new.jpg", flip=False)


def test_it_travels_to_loader_workers(cache: EncoderCache, index: Path) -> None:
    path = pictures(index)[0]
    cache.load(path, flip=False)
    copy = pickle.loads(pickle.dumps(cache))
    assert torch.equal(
        copy.load(path, flip=True).appearance, cache.load(path, flip=True).appearance
    )


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "x"}', None])
def test_what_is_no_cache_is_one_line(tmp_path: Path, index: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError) as caught:
        EncoderCache(tmp_path, index)
    assert "python -m jcdm cache" in str(caught.value) and "\n" not in str(caught.value)


def test_the_manifest_says_what_it_is(builder: CacheBuilder, cache: EncoderCache) -> None:
    content = json.loads((builder.folder / MANIFEST).read_text())
    assert content["format"] == "jcdm-encoder-cache" and content["identity"]["fit"] == "letterbox"


def test_what_killed_processes_were_writing_is_removed(
    builder: CacheBuilder, cache: EncoderCache, index: Path, tmp_path: Path
) -> None:
    shutil.copytree(builder.folder, tmp_path / "cache")
    left = [tmp_path / "cache" / name for name in (f".{shard_name(0)}.123", ".tmp6KFFlD")]
    for file in left:
        file.write_bytes(b"half")
    replace(builder, folder=tmp_path / "cache").build(pictures(index), index, CacheWork())
    assert not any(file.exists() for file in left)
    assert (tmp_path / "cache" / shard_name(0)).is_file()
