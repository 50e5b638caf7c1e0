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
HELD = 400
TASKS = 36
"""Probes that are fitted together: of an encoder, cross-fitted, there are many more."""
RATES = (0.3, 1.0, 3.0, 10.0, 30.0)
MIDDLE = (8_000, 512, 100)
"""On which solvers are compared."""
LARGE = (100_000, 2_048, 1_000)
LARGE_STEPS = 60
LARGE_PENALTY = 1e-6
NOISE = np.float32(12.0)
BACKBONE_STEPS, PAPER_STEPS = 200, 100_000


def probing(folder: Path) -> Iterator[Figure]:
    """Linear probes against stochastic descent until equal validation loss, solvers beside each other, and size."""
    yield from one_encoder()
    yield from against_descent()
    yield from through_the_backbone()
    yield from solvers()
    yield from large(folder)


def lay_out(rows: int, axes: int, labels: int, tasks: int = 1, hidden: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Features that are as unequal and as mixed as a network's, and labels that a line tells in part.

    Args:
        rows, axes, labels: how many.
        tasks: as many times other labels of the same rows.
        hidden: labels lie in directions of little spread, behind others that say nothing, as after a penalty on them;
            else in those of most spread, as after plain training.

    Returns:
        Rows x axes features, float32, and tasks x rows labels.
    """
    rng = np.random.default_rng(0)
    spread = (np.arange(1, axes + 1) ** -1.0).astype(np.float32)
    mixed, _ = np.linalg.qr(rng.standard_normal((axes, axes)))
    mixed = (spread[:, None] * mixed).astype(np.float32)
    first, told = (min(axes // 2, 4 * labels) if hidden else 0), min(axes // 4, 2 * labels)
    lines = rng.standard_normal((told, tasks * labels), dtype=np.float32)
    features = np.empty((rows, axes), dtype=np.float32)
    numbers = np.empty((tasks, rows), dtype=np.int64)
    # Not all at once: the noise of the largest case would take as much memory as its fit.
    for start in range(0, rows, 10_000):
        own = slice(start, min(start + 10_000, rows))
        drawn = rng.standard_normal((own.stop - start, axes), dtype=np.float32)
        features[own] = drawn @ mixed
        scores = drawn[:, first : first + told] @ lines + rng.standard_normal(
            (len(drawn), tasks * labels), dtype=np.float32
        )
        numbers[:, own] = scores.reshape(-1, tasks, labels).argmax(axis=2).T
    return features, numbers


def one_encoder() -> Iterator[Figure]:
    """All probes of an encoder, on as many pictures, exemplars and panoramas as the demo has."""
    import pandas as pd

    from d3s.features import Features
    from d3s.probing.encoder_probes import probe_encoder
    from d3s.probing.settings import ProbeSettings

    rng = np.random.default_rng(0)
    rows, matrices = {}, {}
    for dataset, exemplars, panoramas, each in (
        ("images_train", 7, 9, 10),
        ("images_val", 4, 5, 7),
        ("guides_val", 4, 5, 8),
    ):
        rows[dataset] = pd.DataFrame(
            {"sample": f"{klass}-{place}-{number}", "class_id": klass, "split_group": f"{klass}e{number % exemplars}"}
            | {"background": f"b{place}", "template_group": f"b{place}:{rng.integers(panoramas)}"}
            for klass in range(LABELS)
            for place in range(6)
            for number in range(each)
        )
        shown = np.zeros((len(rows[dataset]), AXES))
        shown[np.arange(len(shown)), rows[dataset]["class_id"]] = 3.0
        matrices[dataset] = shown + rng.normal(size=shown.shape)
    features = Features("erm", 0, 960, matrices, rows)
    started, worked = time.perf_counter(), time.process_time()
    probe_encoder(features, ProbeSettings())
    yield figure("all probes of an encoder", time.perf_counter() - started, "s", 20)
    yield figure("all probes of an encoder: processor time", time.process_time() - worked, "s")


def against_descent() -> Iterator[Figure]:
    """As many probes of one set of features, by our solver and one after another by descent, by turns.

    Both choose something on rows held out: ours one of five penalties, descent (momentum, batches of 64) one of five
    rates. A descent ends where its loss there is within a hundredth of ours, or after as many passes as the best needs,
    or 50; looking at the loss is not counted. Labels in view are told after a few passes, hidden ones often never: an
    encoder's probes are of both kinds, so the target is for their sum.
    """
    own, descents = 0.0, 0.0
    for kind, hidden in (("labels in view", False), ("labels hidden", True)):
        ours, theirs, best, passes = race(hidden)
        yield figure(f"{TASKS} linear probes, all penalties, {kind}", ours, "s")
        yield figure(f"passes of descent until the same loss, {kind}", passes, "passes")
        yield figure(f"linear probes, speed, {kind}", theirs / ours, "x", floor="SGD on the same features, one by one")
        yield figure(f"linear probes, speed, {kind}", best / ours, "x", floor="SGD whose best rate is known beforehand")
        own, descents = own + ours, descents + theirs
    yield figure("linear probes, speed", descents / own, "x", 10, ">=", floor="SGD on the same features, one by one")


def race(hidden: bool) -> tuple[float, float, float, int]:
    """Our solver and descent on the same probes.

    Returns:
        Median seconds of ours, of descents at all rates, and of those at the best; the passes that the best needs.
    """
    import torch

    from d3s.probing.families import linear
    from d3s.probing.space import space_of

    torch.set_num_threads(1)
    features, numbers = lay_out(ROWS + HELD, AXES, LABELS, TASKS, hidden)
    tasks, truth = torch.from_numpy(numbers[:, :ROWS]), torch.from_numpy(numbers[:, ROWS:])

    def ours() -> torch.Tensor:
        space = space_of(features[:ROWS], features[ROWS:])
        (told,) = linear.log_probabilities([space], [tasks], LABELS, [[0] * TASKS])
        wanted = truth[None, :, :, None].expand(len(told), -1, -1, 1)
        losses = -told[:, :, ROWS:].gather(3, wanted).mean(dim=(2, 3))
        return losses.amin(dim=0)

    goal = float(ours()[0])
    if goal > 0.95 * np.log(LABELS):
        raise SystemExit(f"a loss of {goal:.2f} tells nothing of {LABELS} labels: anything is as fast")
    scale = features[:ROWS].std(axis=0) * AXES**0.5
    standard = torch.from_numpy((features - features[:ROWS].mean(axis=0)) / scale)

    def descend(rate: float, passes: int) -> tuple[bool, float, int]:
        """Whether it got there, the seconds that it took, and its passes."""
        generator = torch.Generator().manual_seed(0)
        model = torch.nn.Linear(AXES, LABELS)
        torch.nn.init.zeros_(model.weight)
        optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        seconds = 0.0
        for done in range(passes):
            started = time.perf_counter()
            for batch in torch.randperm(ROWS, generator=generator).split(64):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(standard[batch]), tasks[0, batch]).backward()
                optimiser.step()
            seconds += time.perf_counter() - started
            with torch.no_grad():
                if float(torch.nn.functional.cross_entropy(model(standard[ROWS:]), truth[0])) <= 1.01 * goal:
                    return True, seconds, done + 1
        return False, seconds, passes

    found = [(descend(rate, 50), rate) for rate in RATES]
    (_, _, passes), best = min(found, key=lambda each: (not each[0][0], each[0][2]))
    own, chosen, known = [], [], []
    for _ in range(3):
        started = time.perf_counter()
        ours()
        own.append(time.perf_counter() - started)
        seconds = {rate: descend(rate, passes)[1] for rate in RATES}
        chosen.append(TASKS * sum(seconds.values()))
        known.append(TASKS * seconds[best])
    return statistics.median(own), statistics.median(chosen), statistics.median(known), passes


def through_the_backbone() -> Iterator[Figure]:
    """For information: what the paper's 100,000 steps of a linear probe through its backbone would take here."""
    import timm
    import torch

    torch.set_num_threads(2)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    head = torch.nn.Linear(1280, LABELS)
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1)
    pictures, labels = torch.rand(8, 3, 160, 160), torch.arange(8) % LABELS
    started = time.perf_counter()
    for _ in range(BACKBONE_STEPS):
        with torch.no_grad():
            features = network(pictures)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(head(features), labels).backward()
        optimiser.step()
    seconds = time.perf_counter() - started
    yield figure(
        f"{PAPER_STEPS} steps of 8 pictures through the backbone, from {BACKBONE_STEPS}",
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
    features, (numbers,) = lay_out(rows, axes, labels)
    space = space_of(features, features[:0])
    penalty = 1e-5
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
            C=1 / (penalty * rows),
            class_weight="balanced",
            solver=solver,
            tol=tolerance,
            max_iter=20 if solver == "saga" else 200,
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
    """One logistic regression of full size, in a process of its own."""
    paths = [str(ROOT / "bench"), str(ROOT / "scripts")]
    script = f"import sys; sys.path[:0] = {paths!r}; import probing; probing.fit_large()"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=folder)
    if process.returncode:
        raise SystemExit(f"the large probe failed:\n{process.stderr[-3000:]}")
    shape = " x ".join(f"{number:,}" for number in LARGE)
    for line in process.stdout.splitlines():
        name, value, unit = line.split("\t")
        yield figure(f"{shape}: {name}", float(value), unit)


def fit_large() -> None:
    """Print seconds, peak memory, and what a fit to a stated tolerance tells of rows held out."""
    import torch

    from d3s.probing.families import linear
    from d3s.probing.space import space_of

    torch.set_num_threads(2)
    rows, axes, labels = LARGE
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, labels, rows)
    middles = rng.standard_normal((labels, axes), dtype=np.float32)
    features = middles[numbers]
    for start in range(0, rows, 10_000):  # not all at once, so that the peak of memory is the fit's
        features[start : start + 10_000] += NOISE * rng.standard_normal((min(10_000, rows - start), axes), np.float32)
    started = time.perf_counter()
    space = space_of(features, features[:0])
    placed = time.perf_counter() - started
    fitted_on = torch.from_numpy(numbers)[None].clone()
    fitted_on[0, ::10] = -1  # a tenth is held out
    started = time.perf_counter()
    into, bias = linear.fit([space], [fitted_on], labels, torch.tensor([[LARGE_PENALTY]]), most_steps=LARGE_STEPS)
    seconds = time.perf_counter() - started
    told = torch.log_softmax(space.rows[::10] @ into[0, :, :, 0] + bias[0, :, 0], dim=1)
    truth = torch.from_numpy(numbers[::10])
    right = float((told.argmax(dim=1) == truth).float().mean())
    loss = float(-told[torch.arange(len(truth)), truth].mean() / np.log(labels))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    features_gib = rows * axes * 4 / 1024**3
    for name, value, unit in (
        ("standardised and turned", placed, "s"),
        (f"fitted, at most {LARGE_STEPS} steps", seconds, "s"),
        ("right on rows held out", right, "share"),
        ("loss on rows held out, of that of telling nothing", loss, "x"),
        ("peak memory", memory, "GiB"),
        ("features alone", features_gib, "GiB"),
    ):
        print(f"{name}\t{value}\t{unit}")
