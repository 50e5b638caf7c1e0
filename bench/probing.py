"""Benchmarks of probes: the solver beside stochastic descent and scikit-learn, and logistic regression of full size."""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from measuring import ROOT, Figure, figure

ROWS, AXES, LABELS = 500, 1280, 8
"""As in the demo: accepted train images, all features of the backbone, classes."""
TASKS = 16
"""Probes that are fitted together."""
MIDDLE = (8_000, 512, 100)
"""On which solvers are compared."""
LARGE = (100_000, 2_048, 1_000)
LARGE_STEPS = 8
BACKBONE_STEPS, PAPER_STEPS = 200, 100_000


def probing(folder: Path) -> Iterator[Figure]:
    """Linear probes against stochastic descent until equal validation loss, solvers beside each other, and size."""
    yield from against_descent()
    yield from through_the_backbone()
    yield from solvers()
    yield from large(folder)


def lay_out(rows: int, axes: int, labels: int, seed: int = 0, noise: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Features whose variances fall as those of networks do, with labels that a line tells in part."""
    rng = np.random.default_rng(seed)
    spread = (np.arange(1, axes + 1) ** -0.5).astype(np.float32)
    numbers = rng.integers(0, labels, rows)
    middles = np.random.default_rng(1).standard_normal((labels, axes), dtype=np.float32)
    # Not all at once: float64 noise of the largest case would take as much memory as its fit.
    features = np.empty((rows, axes), dtype=np.float32)
    for start in range(0, rows, 10_000):
        own = slice(start, start + 10_000)
        drawn = rng.standard_normal((len(numbers[own]), axes), dtype=np.float32)
        features[own] = (middles[numbers[own]] + noise * drawn) * spread
    return features, numbers


def against_descent() -> Iterator[Figure]:
    """As many probes of one set of features, by our solver and one after another by descent, in turns.

    Descent is given the best of four rates, and its time of trying the others is not counted. It ends when its loss on
    rows held out is as low as that of our probe, or within a thousandth of it, or after 500 passes.
    """
    import torch

    from d3s.probing.families import linear
    from d3s.probing.space import space_of

    torch.set_num_threads(1)
    features, numbers = lay_out(ROWS + 400, AXES, LABELS)
    place = linear.PENALTIES.index(1e-3)
    tasks = torch.stack([torch.from_numpy(np.roll(numbers[:ROWS], 0)) for _ in range(TASKS)])
    truth = torch.from_numpy(numbers[ROWS:])

    def ours() -> float:
        space = space_of(features[:ROWS], features[ROWS:])
        (told,) = linear.log_probabilities([space], [tasks], LABELS, [[0] * TASKS], [torch.full((TASKS,), place)])
        return float(-told[0, ROWS:].gather(1, truth[:, None]).mean())

    goal = ours()
    # The same features as our solver sees: standardised, of length about one.
    scale = features[:ROWS].std(axis=0) * AXES**0.5
    standard = torch.from_numpy((features - features[:ROWS].mean(axis=0)) / scale)

    def descend(rate: float, most: int = 500) -> tuple[int, float]:
        generator = torch.Generator().manual_seed(0)
        model = torch.nn.Linear(AXES, LABELS)
        torch.nn.init.zeros_(model.weight)
        optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-3)
        best = float("inf")
        for epoch in range(1, most + 1):
            order = torch.randperm(ROWS, generator=generator)
            for batch in order.split(64):
                optimiser.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(standard[batch]), tasks[0, batch])
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                best = min(best, float(torch.nn.functional.cross_entropy(model(standard[ROWS:]), truth)))
            if best <= goal * 1.001:
                return epoch, best
        return most, best

    rate = min((1.0, 3.0, 10.0, 30.0), key=lambda each: descend(each))
    ratios, own, other = [], [], []
    for _ in range(3):
        started = time.perf_counter()
        ours()
        own.append(time.perf_counter() - started)
        started = time.perf_counter()
        epochs, reached = descend(rate)
        other.append(TASKS * (time.perf_counter() - started))
        ratios.append(other[-1] / own[-1])
    yield figure(f"{TASKS} linear probes", statistics.median(own), "s")
    yield figure("passes of descent until as low a loss", epochs, "passes")
    yield figure("loss of descent where it ended", reached / goal, "x", floor="loss of our probe, on rows held out")
    yield figure(
        "linear probes, speed", statistics.median(ratios), "x", 10, ">=", floor="SGD on the same features, one by one"
    )


def through_the_backbone() -> Iterator[Figure]:
    """For information: what the paper's 100,000 steps of a linear probe through its backbone would take here."""
    import timm
    import torch

    torch.set_num_threads(2)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    head = torch.nn.Linear(1280, LABELS)
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1)
    pictures, labels = torch.rand(16, 3, 160, 160), torch.arange(16) % LABELS
    started = time.perf_counter()
    for _ in range(BACKBONE_STEPS):
        with torch.no_grad():
            features = network(pictures)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(head(features), labels).backward()
        optimiser.step()
    seconds = time.perf_counter() - started
    yield figure(
        f"{PAPER_STEPS} steps of a probe through its backbone, from {BACKBONE_STEPS}",
        seconds * PAPER_STEPS / BACKBONE_STEPS / 3600,
        "h",
    )


def solvers() -> Iterator[Figure]:
    """Solvers of one logistic regression of middling size, until the same loss to a thousandth."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    from d3s.probing.families import linear
    from d3s.probing.space import label_weights, space_of

    torch.set_num_threads(1)
    rows, axes, labels = MIDDLE
    features, numbers = lay_out(rows, axes, labels)
    space = space_of(features, features[:0])
    penalty = 1e-3
    task = torch.from_numpy(numbers)[None]
    weights, _ = label_weights(task, labels)

    def loss(into: torch.Tensor, bias: torch.Tensor) -> float:
        told = torch.log_softmax(space.rows @ into + bias, dim=1)
        return float(-(weights[0] * told[torch.arange(rows), task[0]]).sum() + penalty / 2 * into.square().sum())

    def ours(tolerance: float) -> float:
        into, bias = linear.fit([space], [task], labels, torch.tensor([[penalty]]), tolerance=tolerance)
        return loss(into[0, :, :, 0], bias[0, :, 0])

    def theirs(solver: str, tolerance: float) -> float:
        model = LogisticRegression(
            C=1 / (penalty * rows), class_weight="balanced", solver=solver, tol=tolerance, max_iter=200
        )
        with threadpool_limits(1):
            model.fit(space.rows.numpy(), numbers)
        return loss(torch.from_numpy(model.coef_.T).float(), torch.from_numpy(model.intercept_).float())

    cases: dict[str, Callable[[], float]] = {
        "our L-BFGS": lambda: ours(linear.TOLERANCE),
        "scikit-learn's lbfgs": lambda: theirs("lbfgs", 1e-4),
        "scikit-learn's newton-cg": lambda: theirs("newton-cg", 1e-2),
        "scikit-learn's saga": lambda: theirs("saga", 1e-2),
    }
    best = ours(1e-6)
    for name, fit in cases.items():
        started = time.perf_counter()
        reached = fit()
        seconds = time.perf_counter() - started
        what = f"{rows} x {axes} x {labels} by {name}"
        yield figure(what, seconds, "s")
        yield figure(f"{what}: loss", reached / best, "x", floor="the least loss")


def large(folder: Path) -> Iterator[Figure]:
    """One logistic regression of full size, in a process of its own, for a stated number of steps."""
    places = [str(ROOT / name) for name in ("bench", "scripts")]
    script = f"import sys; sys.path[:0] = {places!r}; import probing; probing.fit_large()"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=folder)
    if process.returncode:
        raise SystemExit(f"the large probe failed:\n{process.stderr[-3000:]}")
    shape = " x ".join(f"{number:,}" for number in LARGE)
    for line in process.stdout.splitlines():
        name, value, unit = line.split("\t")
        yield figure(f"{shape}: {name}", float(value), unit)


def fit_large() -> None:
    """Print seconds, peak memory, and after how many steps which share of what is to be had was had.

    Said per step, since two cores take minutes: the loss falls by most of what it will in the first few.
    """
    import torch

    from d3s.probing.families import linear
    from d3s.probing.space import space_of

    torch.set_num_threads(2)
    rows, axes, labels = LARGE
    features, numbers = lay_out(rows, axes, labels, noise=2.0)
    started = time.perf_counter()
    space = space_of(features, features[:0])
    placed = time.perf_counter() - started
    held = torch.from_numpy(numbers)[None].clone()
    held[0, ::10] = -1  # a tenth is held out
    started = time.perf_counter()
    into, bias = linear.fit([space], [held], labels, torch.tensor([[1e-4]]), most_steps=LARGE_STEPS)
    fitted = time.perf_counter() - started
    told = torch.log_softmax(space.rows[::10] @ into[0, :, :, 0] + bias[0, :, 0], dim=1)
    truth = torch.from_numpy(numbers[::10])
    right = float((told.argmax(dim=1) == truth).float().mean())
    loss = float(-told[torch.arange(len(truth)), truth].mean() / np.log(labels))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    features_gib = rows * axes * 4 / 1024**3
    for name, value, unit in (
        ("standardised and turned", placed, "s"),
        (f"{LARGE_STEPS} steps", fitted, "s"),
        ("right on rows held out", right, "share"),
        ("loss on rows held out, of that of telling nothing", loss, "x"),
        ("peak memory", memory, "GiB"),
        ("features alone", features_gib, "GiB"),
    ):
        print(f"{name}\t{value}\t{unit}")
