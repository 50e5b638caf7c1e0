"""Training of the demo's generator: a VAE, then a text-conditional denoiser in its latent space.

Everything random is drawn from (seed, stage, step), so a run that was interrupted goes on exactly as it would have.
States are safetensors files; nothing is pickled.
"""

import json
import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from d3s.generator_data import Composite, CompositeSource, Shown, draw_composite, prompt_of
from d3s.identity import seed as hashed_seed
from d3s.shards import whole_file, write_json

Terms = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """How the generator is trained; one instance describes one run to the byte.

    Attributes:
        size: side of the pictures in pixels.
        pool: composites that everything is trained on.
        crop: side of the crops that the VAE is trained on.
        vae_steps, vae_batch, vae_rate: steps, pictures per step and peak learning rate of the VAE.
        fine_steps, fine_rate: the same for its second part, which sees little noise and learns detail.
        decoder_steps, decoder_rate: the same for its decoder alone, on nearly clean latents.
        unet_steps, unet_batch, unet_rate: the same for the denoiser and its text encoder.
        joint_steps, joint_batch, joint_rate: the same for denoiser, text encoder and decoder together.
        joint_seen, joint_crop: pictures of each such step that are decoded and looked at, and the side of the crops.
        joint_weight: of what is seen in the pictures, beside the error of the velocity.
        latest_step: noise levels are mostly drawn below this one of 1000, which is all that image-to-image at the
            demo's strength ever sees; a tenth is drawn above it.
        ema: decay of the weights' moving average, which is what is published.
        seed: root of every random draw.
    """

    size: int = 128
    pool: int = 8192
    crop: int = 64
    vae_steps: int = 3600
    vae_batch: int = 8
    vae_rate: float = 1.5e-3
    fine_steps: int = 2600
    fine_rate: float = 8e-4
    decoder_steps: int = 2400
    decoder_rate: float = 1e-3
    unet_steps: int = 4700
    unet_batch: int = 16
    unet_rate: float = 6e-4
    joint_steps: int = 4000
    joint_batch: int = 12
    joint_rate: float = 3e-4
    joint_seen: int = 6
    joint_crop: int = 96
    joint_weight: float = 0.4
    latest_step: int = 600
    ema: float = 0.998
    seed: int = 0


def build_vae() -> AutoencoderKL:
    """A VAE of 1.4 M parameters: factor 4, 16 latent channels, no attention (128 px is 32 x 32 latents).

    At a given step of the noise schedule, every latent number carries so many bits and no more. Stable Diffusion's 64 x
    64 x 4 numbers show a picture of 512 px; with as many channels here, a picture of 128 px would start from a quarter
    of them, and what the object was would be gone at step 500. Sixteen channels give as many numbers as it has.
    """
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 48, 96),
        layers_per_block=1,
        latent_channels=16,
        scaling_factor=1.0,
        norm_num_groups=16,
        sample_size=128,
        mid_block_add_attention=False,
    )


def build_unet() -> UNet2DConditionModel:
    """A denoiser of 12 M parameters; attention at 8 x 8 only, where it is cheap on a CPU."""
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=16,
        out_channels=16,
        cross_attention_dim=128,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=16,
        block_out_channels=(64, 128, 224),
        layers_per_block=1,
    )


def build_text_encoder(vocabulary: int, end_token: int) -> CLIPTextModel:
    """A two-layer CLIP text encoder of width 128."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            projection_dim=128,
            bos_token_id=end_token - 1,
            eos_token_id=end_token,
            pad_token_id=end_token,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, with velocity prediction (Salimans and Ho 2022), as Stable Diffusion 2 has."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def build_tokenizer(texts: Iterable[str], folder: Path, length: int = 32) -> CLIPTokenizer:
    """Learn a byte-pair vocabulary from the prompts' words; it still spells any other word letter by letter.

    It is learnt once for a folder: pairs that are equally common are merged in another order in each process, and a
    training that is resumed must go on with the tokens that it began with.
    """
    if not (folder / "merges.txt").exists():
        _learn_vocabulary(texts, folder)
    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=length,
        pad_token="<|endoftext|>",
    )


def _learn_vocabulary(texts: Iterable[str], folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    model = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    model.normalizer = normalizers.Lowercase()
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1400,
        show_progress=False,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        special_tokens=[],
    )
    model.train_from_iterator(sorted(texts), trainer)
    merges = [
        pair if isinstance(pair, str) else " ".join(pair) for pair in json.loads(model.to_str())["model"]["merges"]
    ]
    # Numbered by us: the trainer numbers letters in another order in each process.
    letters = sorted(alphabet)
    tokens = list(dict.fromkeys([*letters, *(f"{x}</w>" for x in letters), *(m.replace(" ", "") for m in merges)]))
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def from_bytes(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures of bytes (N x 3 x H x W) as float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1.0


class PerceptualLoss(nn.Module):
    """Distances of two pictures in a classifier's feature maps, each normalised over channels (as LPIPS, unweighted).

    One for each of five levels, of a half to a thirty-second of the side; of pictures enlarged by ``enlarge`` first,
    as classifiers get them.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        features = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(0, 1, 2, 3, 4))
        features.load_state_dict(load_file(weights), strict=False)
        self.features = features.eval().requires_grad_(False)

    def forward(self, made: torch.Tensor, target: torch.Tensor, enlarge: float = 1.0) -> torch.Tensor:
        if enlarge != 1.0:
            made, target = (F.interpolate(x, scale_factor=enlarge, mode="bilinear") for x in (made, target))
        with torch.no_grad():
            wanted = self.features(target)
        distances = [
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(dim=1).mean()
            for a, b in zip(self.features(made), wanted, strict=True)
        ]
        return torch.stack(distances)


class Stage:
    """One resumable training stage: models, an optimiser, a cosine schedule with warm-up, and a moving average.

    Args:
        name: of the state file in ``folder``.
        models: what is trained, by name.
        rate: peak learning rate.
        steps: length of the schedule.
        ema: decay of the moving average.
        seed: root seed; step ``n`` draws from ``hash(seed, name, n)``.
    """

    def __init__(
        self, folder: Path, name: str, models: dict[str, nn.Module], rate: float, steps: int, ema: float, seed: int
    ) -> None:
        self.file = folder / f"{name}.safetensors"
        self.name, self.steps, self.ema, self.seed, self.done = name, steps, ema, seed, 0
        self.parameters = {f"{m}.{n}": p for m, model in models.items() for n, p in model.named_parameters()}
        self.average = {key: p.detach().clone() for key, p in self.parameters.items()}
        self.optimiser = torch.optim.AdamW(
            list(self.parameters.values()), lr=rate, betas=(0.9, 0.99), weight_decay=0.01
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._factor)
        self.history: list[dict[str, float]] = []
        if self.file.exists():
            self._load()

    def _factor(self, step: int) -> float:
        warm = min(1.0, (step + 1) / 100)
        return warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(step, self.steps) / max(self.steps, 1))))

    def run(
        self, step: Callable[[np.random.Generator, torch.Generator], Terms], log: Callable[[str], None], every: int = 50
    ) -> None:
        """Train to the end, saving the state about every two minutes."""
        saved = started = time.monotonic()
        first = self.done
        sums: dict[str, float] = {}
        summed = 0  # fewer than ``every`` where a run was resumed
        while self.done < self.steps:
            root = hashed_seed(self.seed, self.name, self.done)
            terms = step(np.random.default_rng(root), torch.Generator().manual_seed(root))
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            self.schedule.step()
            self.done += 1
            decay = min(self.ema, (1 + self.done) / (10 + self.done))
            with torch.no_grad():
                for key, parameter in self.parameters.items():
                    self.average[key].lerp_(parameter, 1 - decay)
            for key, value in terms.items():
                sums[key] = sums.get(key, 0.0) + float(value.detach())
            summed += 1
            if self.done % every == 0:
                means = {key: value / summed for key, value in sums.items()}
                sums, summed = {}, 0
                self.history.append({"step": self.done, **means})
                left = (time.monotonic() - started) / (self.done - first) * (self.steps - self.done)
                shown = ", ".join(f"{key} {value:.4f}" for key, value in means.items())
                log(f"{self.name}: step {self.done} of {self.steps}, {shown}, {left / 60:.1f} min left")
            if time.monotonic() - saved > 120 or self.done == self.steps:
                self.save()
                saved = time.monotonic()

    def use_average(self) -> None:
        """Put the moving average into the models: that is what is published."""
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                parameter.copy_(self.average[key])

    def save(self) -> None:
        """Keep all that the next step depends on."""
        state = {f"model.{k}": p.detach() for k, p in self.parameters.items()}
        state |= {f"average.{k}": p for k, p in self.average.items()}
        for key, parameter in self.parameters.items():
            moments = self.optimiser.state.get(parameter, {})
            state |= {f"{kind}.{key}": moments[kind] for kind in ("exp_avg", "exp_avg_sq") if kind in moments}
        with whole_file(self.file) as temporary:
            save_file(
                {k: v.contiguous() for k, v in state.items()},
                temporary,
                metadata={"done": str(self.done), "history": json.dumps(self.history)},
            )

    def _load(self) -> None:
        from safetensors import safe_open

        with safe_open(self.file, "pt") as file:
            metadata = file.metadata()
        state = load_file(self.file)
        self.done, self.history = int(metadata["done"]), json.loads(metadata["history"])
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                parameter.copy_(state[f"model.{key}"])
                self.average[key].copy_(state[f"average.{key}"])
                if f"exp_avg.{key}" in state:
                    self.optimiser.state[parameter] = {
                        "step": torch.tensor(float(self.done)),
                        "exp_avg": state[f"exp_avg.{key}"],
                        "exp_avg_sq": state[f"exp_avg_sq.{key}"],
                    }
        self.schedule.last_epoch = self.done
        for group, base in zip(self.optimiser.param_groups, self.schedule.base_lrs, strict=True):
            group["lr"] = base * self._factor(self.done)


def _small_colours(x: torch.Tensor) -> torch.Tensor:
    """Brightness, red against green and blue against yellow, at a quarter of the side (N x 3 x H/4 x W/4)."""
    red, green, blue = F.avg_pool2d(x, 4).unbind(dim=1)
    return torch.stack([(red + green + blue) / 3, red - green, blue - (red + green) / 2], dim=1)


def draw_pool(
    source: CompositeSource, settings: TrainingSettings, folder: Path, log: Callable[[str], None]
) -> tuple[torch.Tensor, list[Shown]]:
    """The training pictures (pool x 3 x size x size, bytes) and what each one shows.

    They are drawn once: drawing afresh costs as much time as a training step, and a small network does not learn eight
    thousand composites by heart in an hour.
    """
    file = folder / "pool.safetensors"
    if file.exists():
        stored = load_file(file)
        shown = [Shown(int(c), int(b)) for c, b in zip(stored["classes"], stored["backgrounds"], strict=True)]
        return stored["pictures"], shown

    def draw(number: int) -> Composite:
        return draw_composite(source, np.random.default_rng(hashed_seed(settings.seed, "pool", number)), settings.size)

    log(f"drawing {settings.pool} composites")
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        composites = list(pool.map(draw, range(settings.pool)))
    pictures = torch.from_numpy(np.stack([np.asarray(c.image).transpose(2, 0, 1) for c in composites]))
    shown = [c.shown for c in composites]
    with whole_file(file) as temporary:
        save_file(
            {
                "pictures": pictures.contiguous(),
                "classes": torch.tensor([s.class_number for s in shown]),
                "backgrounds": torch.tensor([s.background_number for s in shown]),
            },
            temporary,
        )
    return pictures, shown


@dataclass(frozen=True)
class Noises:
    """Noise on latents: of a share of the pictures, heavy, as at steps 150 to ``latest``; else up to ``light``."""

    share: float
    latest: int
    light: float


def train_vae(
    pictures: torch.Tensor,
    settings: TrainingSettings,
    perceptual: nn.Module,
    folder: Path,
    log: Callable[[str], None],
    start: Path | None = None,
) -> AutoencoderKL:
    """Train the VAE on crops of composites: L1, perceptual distance and colour, through noise.

    Latents are normalised to unit variance and disturbed by the diffusion's own noise before they are decoded, as in
    Yang et al., "Latent denoising makes good visual tokenizers" (2025). That spreads a picture over all channels, so
    that as much of it as possible outlives the noise that image-to-image starts from; a Kullback-Leibler term
    instead left four of eight channels nearly empty. Three channels are asked to look like a thumbnail in opponent
    colours: an encoder that has no colour yet and a decoder that uses none hardly learn it from each other; without
    this term red and green came out the same. The normalisation is folded into the VAE's 1 x 1 convolution, so
    ``scaling_factor`` is 1.

    A second part sees less noise and more of the classifier's features, for detail; in a third one
    the decoder learns alone, on which the denoiser does not depend.

    With ``start``, a finished model, training goes on from its VAE; with no steps, it is taken as it is.
    """
    torch.manual_seed(hashed_seed(settings.seed, "vae.init") % 2**32)
    vae = AutoencoderKL.from_pretrained(start / "vae", dtype=torch.float32) if start else build_vae()
    alphas = build_scheduler().alphas_cumprod
    spreads = ((1 - alphas) / alphas).sqrt()  # of the noise, beside latents of unit variance

    def crops(rng: np.random.Generator) -> torch.Tensor:
        taken = []
        for number in rng.integers(len(pictures), size=settings.vae_batch):
            top, left = (int(rng.integers(settings.size - settings.crop + 1)) for _ in range(2))
            # Most colours of these photographs lie between blue and yellow. Exchanged channels make all axes equally
            # common; without them, a VAE of this size learns no red and no green in the time that it has.
            channels = rng.permutation(3) if rng.random() < 0.6 else np.arange(3)
            crop = pictures[number, :, top : top + settings.crop, left : left + settings.crop]
            taken.append(crop[torch.from_numpy(channels)])
        return from_bytes(torch.stack(taken))

    def step(rng: np.random.Generator, noise: torch.Generator, noises: Noises, levels: int, weight: float) -> Terms:
        x = crops(rng)
        latents = vae.encode(x).latent_dist.mean
        if latents.requires_grad:  # else the encoder is settled, with its normalisation folded in
            latents = _normalised(latents)
        light = noises.light * rng.random(len(x))
        strong = spreads[rng.integers(150, noises.latest, size=len(x))].numpy()
        spread = torch.from_numpy(np.where(rng.random(len(x)) < noises.share, strong, light)).float()
        drawn = torch.randn(latents.shape, generator=noise)
        made = vae.decode(latents + spread[:, None, None, None] * drawn).sample
        colours = _small_colours(x)
        terms = {
            "l1": F.l1_loss(made, x),
            "perceptual": perceptual(made, x)[:levels].sum(),
            # Features hardly see colour and L1 forgives what few pixels have, so colour needs a term of its own.
            "colour": F.mse_loss(_small_colours(made)[:, 1:], colours[:, 1:]),
            "thumbnail": F.mse_loss(latents[:, :3], _normalised(colours)),
        }
        loss = terms["l1"] + weight * terms["perceptual"] + 4.0 * terms["colour"] + 0.2 * terms["thumbnail"]
        return {"loss": loss, **terms}

    decoder = {"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv}
    for name, parts, steps, rate, noises, levels, weight in (
        ("vae", {"vae": vae}, settings.vae_steps, settings.vae_rate, Noises(0.5, settings.latest_step, 0.3), 3, 0.06),
        ("vae_fine", {"vae": vae}, settings.fine_steps, settings.fine_rate, Noises(0.25, 520, 0.25), 4, 0.1),
        ("decoder", decoder, settings.decoder_steps, settings.decoder_rate, Noises(0.0, 520, 0.2), 4, 0.15),
    ):
        if not steps:
            continue
        vae.encoder.requires_grad_(parts is not decoder)
        vae.quant_conv.requires_grad_(parts is not decoder)
        stage = Stage(folder, name, parts, rate, steps, settings.ema, settings.seed)
        stage.run(partial(step, noises=noises, levels=levels, weight=weight), log)
        stage.use_average()
        write_json(folder / f"{name}.history.json", stage.history)
        if parts is not decoder:
            _fold_normalisation(vae, pictures[:: max(1, len(pictures) // 256)])
    return vae.eval()


def _normalised(latents: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance in every channel, over the batch and all positions."""
    mean = latents.mean(dim=(0, 2, 3), keepdim=True)
    return (latents - mean) / (latents.std(dim=(0, 2, 3), keepdim=True) + 1e-6)


@torch.no_grad()
def _fold_normalisation(vae: AutoencoderKL, pictures: torch.Tensor) -> None:
    """Let the encoder itself give latents of zero mean and unit variance, without any spread of the posterior."""
    latents = torch.cat([vae.encode(from_bytes(part)).latent_dist.mean for part in pictures.split(16)])
    mean, spread = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3)) + 1e-6
    channels, layer = len(mean), vae.quant_conv
    layer.weight[:channels] /= spread[:, None, None, None]
    layer.bias[:channels] = (layer.bias[:channels] - mean) / spread
    layer.weight[channels:] = 0.0
    layer.bias[channels:] = -30.0  # the logarithm of the variance, at its lower limit


@torch.no_grad()
def encode_pool(pictures: torch.Tensor, vae: AutoencoderKL, log: Callable[[str], None]) -> torch.Tensor:
    """Latents of the training pictures (pool x 16 x size/4 x size/4, half precision)."""
    log(f"encoding {len(pictures)} composites")
    parts = [vae.encode(from_bytes(part)).latent_dist.mean.half() for part in pictures.split(32)]
    return torch.cat(parts) * vae.config.scaling_factor


@dataclass
class NoisyBatch:
    """Latents ``x`` with noise of the steps ``t``: ``noisy``; what the denoiser is to say: ``velocity``."""

    picked: np.ndarray
    x: torch.Tensor
    t: torch.Tensor
    noisy: torch.Tensor
    velocity: torch.Tensor
    tokens: torch.Tensor


def draw_noisy(
    source: CompositeSource,
    shown: list[Shown],
    latents: torch.Tensor,
    tokenizer: CLIPTokenizer,
    settings: TrainingSettings,
    rng: np.random.Generator,
    noise: torch.Generator,
    batch: int,
    seen: int = 0,
) -> NoisyBatch:
    """Draw pictures, prompts, noise levels and noise for one step of the denoiser.

    The first ``seen`` get noise as images get it when they are made, below step 520.
    """
    scheduler = build_scheduler()
    picked = rng.integers(len(latents), size=batch)
    x = latents[torch.from_numpy(picked)].float()
    prompts = [prompt_of(source, shown[i], rng) for i in picked]
    tokens = tokenizer(prompts, padding="max_length", max_length=32, truncation=True, return_tensors="pt")
    below = rng.integers(0, settings.latest_step, size=len(picked))
    above = rng.integers(settings.latest_step, 1000, size=len(picked))
    steps = np.where(rng.random(len(picked)) < 0.9, below, above)
    steps[:seen] = rng.integers(0, 520, size=seen)
    t = torch.from_numpy(steps)
    e = torch.randn(x.shape, generator=noise)
    return NoisyBatch(picked, x, t, scheduler.add_noise(x, e, t), scheduler.get_velocity(x, e, t), tokens.input_ids)


def train_denoiser(
    source: CompositeSource,
    encoded: Callable[[], torch.Tensor],
    shown: list[Shown],
    settings: TrainingSettings,
    folder: Path,
    log: Callable[[str], None],
    start: Path | None = None,
) -> tuple[UNet2DConditionModel, CLIPTextModel, CLIPTokenizer]:
    """Train the denoiser and the text encoder together on the latents of the composites (``encoded``: see
    ``encode_pool``; called when it is needed).

    With ``start``, a finished model, training goes on from its denoiser, text encoder and vocabulary.
    """
    torch.manual_seed(hashed_seed(settings.seed, "unet.init") % 2**32)
    if start:
        tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
        unet = UNet2DConditionModel.from_pretrained(start / "unet", dtype=torch.float32).train()
        text_encoder = CLIPTextModel.from_pretrained(start / "text_encoder", dtype=torch.float32).train()
    else:
        words = [f"a photo of a {label}, {text}" for label, text in zip(source.labels, source.definitions, strict=True)]
        tokenizer = build_tokenizer([*words, *source.phrases], folder / "tokenizer_source")
        unet, text_encoder = build_unet(), build_text_encoder(len(tokenizer), tokenizer.eos_token_id)
    stage = Stage(
        folder,
        "denoiser",
        {"unet": unet, "text_encoder": text_encoder},
        settings.unet_rate,
        settings.unet_steps,
        settings.ema,
        settings.seed,
    )

    latents = encoded() if stage.done < stage.steps else torch.empty(0)

    def step(rng: np.random.Generator, noise: torch.Generator) -> Terms:
        batch = draw_noisy(source, shown, latents, tokenizer, settings, rng, noise, settings.unet_batch)
        made = unet(batch.noisy, batch.t, text_encoder(batch.tokens)[0]).sample
        return {"loss": F.mse_loss(made, batch.velocity)}

    stage.run(step, log)
    stage.use_average()
    write_json(folder / "denoiser.history.json", stage.history)
    return unet.eval(), text_encoder.eval(), tokenizer


def train_jointly(
    source: CompositeSource,
    pictures: torch.Tensor,
    encoded: Callable[[], torch.Tensor],
    shown: list[Shown],
    settings: TrainingSettings,
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    perceptual: nn.Module,
    folder: Path,
    log: Callable[[str], None],
) -> None:
    """Train denoiser, text encoder and decoder on what is seen in the end: the picture.

    A small denoiser that only minimises the velocity's error answers strong noise with the mean of all that may be
    behind it, and the mean of many birds is no bird. So some of each step's predictions are decoded, and compared
    with the picture in a classifier's features, as in Lin and Yang, "Diffusion model with perceptual loss" (2023); and
    the decoder learns to read the latents that it is given when images are made, which no encoder gives.
    """
    decoder = {"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv}
    vae.requires_grad_(False)
    for part in decoder.values():
        part.requires_grad_(True)
    models = {"unet": unet.train(), "text_encoder": text_encoder.train(), **decoder}
    stage = Stage(folder, "joint", models, settings.joint_rate, settings.joint_steps, settings.ema, settings.seed)
    latents = encoded() if stage.done < stage.steps else torch.empty(0)
    alphas = build_scheduler().alphas_cumprod
    seen, side = settings.joint_seen, settings.joint_crop // 4  # of latents

    def step(rng: np.random.Generator, noise: torch.Generator) -> Terms:
        batch = draw_noisy(source, shown, latents, tokenizer, settings, rng, noise, settings.joint_batch, seen)
        made = unet(batch.noisy, batch.t, text_encoder(batch.tokens)[0]).sample
        a = alphas[batch.t[:seen]][:, None, None, None]
        predicted = a.sqrt() * batch.noisy[:seen] - (1 - a).sqrt() * made[:seen]
        corners = rng.integers(settings.size // 4 - side + 1, size=(seen, 2))
        latent_crops = [
            p[:, top : top + side, left : left + side] for p, (top, left) in zip(predicted, corners, strict=True)
        ]
        picture = vae.decode(torch.stack(latent_crops) / vae.config.scaling_factor).sample
        crops = [
            pictures[i, :, 4 * top : 4 * (top + side), 4 * left : 4 * (left + side)]
            for i, (top, left) in zip(batch.picked, corners, strict=False)
        ]
        target = from_bytes(torch.stack(crops))
        terms = {
            "velocity": F.mse_loss(made, batch.velocity),
            "l1": F.l1_loss(picture, target),
            "perceptual": perceptual(picture, target, 1.5).sum(),
            "colour": F.mse_loss(_small_colours(picture)[:, 1:], _small_colours(target)[:, 1:]),
        }
        pixels = terms["l1"] + 0.15 * terms["perceptual"] + 4.0 * terms["colour"]
        return {"loss": terms["velocity"] + settings.joint_weight * pixels, **terms}

    stage.run(step, log)
    stage.use_average()
    write_json(folder / "joint.history.json", stage.history)
    unet.eval()
    text_encoder.eval()
    vae.eval()
