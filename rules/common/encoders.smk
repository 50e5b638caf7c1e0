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


def objective_code(wildcards):
    """The digest of the code that trains encoders of a name."""
    return code("train_encoder", f"d3s.objectives.{objective_of(ENCODER, wildcards.objective)}")


def objective_arguments(wildcards):
    """The arguments that name the objective, its settings in this config, and its weight decay."""
    chosen = {"weight_decay": ENCODER["weight_decay"]} | ENCODER["settings"].get(wildcards.objective, {})
    pairs = [f"{name}={value}" for name, value in chosen.items() if name not in TRAINING_SETTINGS]
    name = objective_of(ENCODER, wildcards.objective)
    decay = f"--weight-decay {chosen['weight_decay']}"
    return f"--objective {name} --name {wildcards.objective} {decay} --set {' '.join(pairs)}"


def second_stream(wildcards):
    """The index of the pictures without background labels that encoders are trained on too, if there are any."""
    name = ENCODER["second"]["benchmark"]
    return (
        {"second": f"results/benchmarks/{name}.parquet", "labels": f"results/benchmarks/{name}.labels.csv"}
        if name
        else {}
    )


def second_arguments(wildcards, input):
    """The arguments that name it."""
    if not ENCODER["second"]["benchmark"]:
        return ""
    return f"--second {input.second} --second-labels {input.labels} --second-share {ENCODER['second']['share']}"


def class_indices(wildcards):
    """ImageNet's indices of the classes, where a training asks for them: for first weights, or for a second stream."""
    if ENCODER["heads"] == "random" and not ENCODER["second"]["benchmark"]:
        return ""
    rows = [row for row in TABLES.classes if row["imagenet_indices"]]
    shown = [f"{row['class_id']}={','.join(row['imagenet_indices'].split())}" for row in rows]
    return f"--class-indices {' '.join(shown)}" if shown else ""


def training_command(wildcards):
    """What starts a training: on several GPUs, a process for each."""
    if ENCODER["gpus"] < 2:
        return "python"
    return f"accelerate launch --multi_gpu --num_machines 1 --mixed_precision no --num_processes {ENCODER['gpus']}"
