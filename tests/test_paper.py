"""`g2m run --preset paper` makes the paper: scaled down by settings, on weights of its networks' layouts."""

import json

import pandas as pd
import pytest
import timm
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file

SIZES = (
    "encoders.image.input_size=32",
    "encoders.expression.hidden=64",
    "encoders.expression.features=64",
    "encoders.embedding_dim=32",
    "encoders.total_images=64",
    "encoders.batch_size=16",
    "gan.discriminator.feature_px=32",
    "gan.generator.channel_base=1024",
    "gan.generator.channel_max=32",
    "gan.generator.norm_groups=8",
    "gan.generator.residual_blocks=1",
    "gan.stages.0.total_images=32",
    "gan.stages.1.total_images=16",
    "gan.batch_size=8",
    "sd.codes.resolution=64",
    "sd.total_images=32",
    "sd.batch_size=16",
    "sd.micro_batch=16",
    "sd.sampling.steps=2",
    "eval.extractor_steps=20",
    "eval.train_patches=200",
    "eval.permutations=99",
    "eval.kernel_subsets=5",
    "eval.bootstrap=20",
    "eval.memorisation_patches=200",
    "eval.memorisation_queries=40",
    "eval.space.training_pairs=200",
    "eval.space.images=100",
    "interpret.attribution.tolerance=0.01",
    "interpret.enrichment.permutations=50",
    "interpret.perturbation.spots=2",
    "interpret.perturbation.seeds=1",
    "interpret.perturbation.random_sets=2",
    "interpret.perturbation.resamples=20",
)
UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 48,
    "attention_head_dim": 2,
    "norm_num_groups": 8,
}
AUTOENCODER = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 16,
}


def write_vit(folder, architecture, **size):
    """A network of timm's with random weights, as its hub keeps one."""
    network = timm.create_model(architecture, num_classes=0, **size)
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "num_features": network.num_features,
        "global_pool": "token",
        "model_args": size,
        "pretrained_cfg": {
            "input_size": [3, size["img_size"], size["img_size"]],
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
    }
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Folders of random weights in the layouts of UNI, of Owkin's ViT and of Stable Diffusion, in small."""
    root = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "num_heads": 2, "dynamic_img_size": True}
    write_vit(root / "uni", "vit_large_patch16_224", depth=2, init_values=1e-5, **small)
    write_vit(root / "owkin", "vit_base_patch16_224", depth=12, **small)  # taps lie at the depths of the paper's code
    UNet2DConditionModel(**UNET).save_pretrained(root / "sd" / "unet")
    AutoencoderKL(**AUTOENCODER).save_pretrained(root / "sd" / "vae")
    DDIMScheduler().save_pretrained(root / "sd" / "scheduler")
    return root


@pytest.fixture(scope="module")
def manifest(phantom, tmp_path_factory):
    """The phantom's, its last section held out for validation."""
    text = (phantom / "study.toml").read_text()
    head, _, last = text.rpartition('split = "test"')
    text = f'{head}split = "validation"{last}'
    for key in ("truth", "gene_sets", "raw"):
        text = text.replace(f'"{key}', f'"{phantom}/{key}')
    path = tmp_path_factory.mktemp("manifest") / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def command(manifest, weights, tmp_path_factory):
    local = (
        f"encoders.image.backbone={weights / 'uni'}",
        f"gan.discriminator.features={weights / 'owkin'}",
        f"sd.codes.autoencoder={weights / 'sd'}",
        f"sd.denoiser.pretrained={weights / 'sd'}",
    )
    settings = [argument for setting in (*local, *SIZES) for argument in ("--set", setting)]
    out = tmp_path_factory.mktemp("paper") / "out"
    return ["run", manifest, "--out", out, "--preset", "paper", *settings]


@pytest.fixture(scope="module")
def first(command, run_g2m):
    result = run_g2m(*command, timeout=1500, HF_HUB_OFFLINE="1")
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def paper(first, command):
    return command[3] / "paper"


@pytest.mark.slow
def test_every_table_and_figure_of_the_paper_comes_from_one_command(paper):
    page = (paper / "report.html").read_text()
    numbers = [
        "Table 1.", "Table 2.", "Table 3.", "Figure 2.", "Figure 3.", "Figure C.1.", "Figure D.1.", "Figure E.1.",
        "Table F.1.", "Table F.2.", "Table F.3.",
    ]  # fmt: skip
    for number in numbers:
        assert f"{number} " in page, number
    for name in ("table1", "table2", "table3", "table3-ours", "tableF_1", "tableF_2", "tableF_3", "figureD_1"):
        assert len(pd.read_csv(paper / f"{name}.csv")), name
    figures = {path.stem for path in (paper / "figures").glob("*.png")}
    assert {"generated-gan", "generated-sd-w3", "slides-and-colours", "space-embeddings", "space-joint"} <= figures
    assert {"space-images-gan", "space-images-sd-w1", "space-images-sd-w3", "space-images-sd-w7"} <= figures
    metrics = json.loads((paper / "metrics.json").read_text())["paper"]
    assert "ours" in metrics["table1"]
    assert "ours" in metrics["figureE_1"]


@pytest.mark.slow
def test_table_1_is_of_four_images_a_spot_and_says_that_inception_is_not_here(paper, first):
    study = paper.parent
    spots = len(pd.read_parquet(study / "generated" / "gan" / "index.parquet")["spot"].unique())
    table = pd.read_csv(paper / "table1.csv")
    assert table["generator"].tolist()[:4] == ["StyleGAN-G", "sd (w = 1)", "sd (w = 3)", "sd (w = 7)"]
    assert table["A: Fréchet distance"].notna()[:4].all()
    assert f"{4 * spots} generated" in (paper / "report.html").read_text()
    said = [line for line in first.stderr.splitlines() if line.startswith("Table 1 will have no FID")]
    assert len(said) == 1
    assert "--set paper.inception=FILE" in said[0]


@pytest.mark.slow
def test_terms_are_between_the_clusters_of_each_section_by_itself(paper):
    study = paper.parent
    tests = {"visium1", "visium2"}
    assert set(pd.read_csv(study / "interpret" / "attribution" / "pairs.csv")["sample"]) == tests
    assert set(pd.read_csv(paper / "table3-ours.csv")["sample"]) <= tests
    record = json.loads((study / "interpret" / "attribution" / "provenance.json").read_text())
    assert record["settings"]["clusters"] == "samplewise"


@pytest.mark.slow
def test_every_stage_is_judged_on_the_section_held_out_while_it_trains(paper):
    for stage in ("encoders", "gan", "sd"):
        lines = (paper.parent / "runs" / stage / "metrics.jsonl").read_text().splitlines()
        judged = [row for row in map(json.loads, lines) if any(key.startswith("validation") for key in row)]
        assert len(judged) > 1, stage


@pytest.mark.slow
def test_what_is_done_is_kept(paper, first, command, run_g2m):
    again = run_g2m(*command, timeout=600, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    for stage in ("encoders", "gan", "sd", "attribution", "images", "paper"):
        assert f"{stage}: unchanged, kept" in again.stderr + again.stdout, stage
