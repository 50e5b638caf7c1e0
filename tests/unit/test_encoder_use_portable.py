"""What leaves the project: one module from pixels to parts, and one matrix from pooled features to class logits."""

import torch

from d3s.encoder import Encoder, EncoderSettings
from d3s.encoder_use.portable import OUTPUTS, Portable, class_head


def tiny(frozen: int = 0) -> Encoder:
    torch.manual_seed(0)
    settings = EncoderSettings("test_efficientnet", 32, frozen, 0.25, "frozen", (0, 3), ("grass", "road", "water"))
    return Encoder(settings).eval()


def test_frozen_layers_are_inside() -> None:
    encoder = tiny(frozen=1)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = dict(zip(OUTPUTS, Portable(encoder)(pixels), strict=True))
    assert torch.equal(found["class_logits"], encoder(encoder.activations(pixels)).class_logits)
    assert found["foreground"].shape == (2, 192)
    assert found["background_logits"].shape == (2, 3)


def test_the_class_head_is_blind_to_the_background_part() -> None:
    encoder = tiny()
    head = class_head(encoder)
    assert head.weight.shape == (2, 256)
    assert torch.count_nonzero(head.weight[:, 192:]) == 0
    pooled = torch.randn(5, 256, generator=torch.Generator().manual_seed(1))
    wanted = encoder.encode_pooled(pooled).class_logits
    torch.testing.assert_close(pooled @ head.weight.T + head.bias, wanted)


def test_asking_for_the_head_leaves_the_encoder_as_it_is() -> None:
    encoder = tiny()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    class_head(encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.class_head.weight.dtype == torch.float32
