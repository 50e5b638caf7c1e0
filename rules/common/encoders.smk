# Encoders: what they are trained and tested on.

ENCODER = CONFIG["encoders"]
FROZEN = ENCODER["frozen_stages"] > 0


def encoder_pictures(*splits):
    """What encoders are trained and tested on: activations of the frozen layers where there are any, else pictures."""
    if FROZEN:
        return {"activations": "results/encoders/activations.safetensors"}
    return {
        "images": shards("images", *splits),
        "images_tars": ancient(shards("images", *splits, ending="tar")),
        "guides_tars": ancient(shards("guides", "val", ending="tar")),
    }


def picture_arguments(wildcards, input):
    """The arguments that name them."""
    if FROZEN:
        return f"--activations {input.activations}"
    return f"--images {input.images_tars}"
