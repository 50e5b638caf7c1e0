"""Several processes train the encoder that one trains."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_training import trainer

from d3s.encoder import read_safetensors
from d3s.errors import D3SError
from d3s.processes import gather, slice_of

HERE = Path(__file__).parent
TRAIN = f"""
import sys
sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1] / "scripts")!r}]
from test_training import trainer
from d3s.encoder import save_tensors
run = trainer(sys.argv[1], steps=5, batch_norm="frozen")
assert run.accelerator.num_processes == 2
assert sum(len(made) for _, made in run._draw((0, -1)).inputs) == 4
run.run()
if run.accelerator.is_main_process:
    save_tensors(sys.argv[2], run.model.state_dict())
"""


@pytest.mark.parametrize("objective", ["hsic", "mine"])
def test_two_processes_give_the_weights_of_one(objective: str, tmp_path: Path) -> None:
    """Sums over a batch are added up in another order; Adam's divisions make that 1e-4 of a weight at most here."""
    (tmp_path / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", str(tmp_path / "train.py"), objective, str(tmp_path / "two.safetensors")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    two = read_safetensors(tmp_path / "two.safetensors")
    one = trainer(objective, steps=5, batch_norm="frozen")
    start = {name: value.clone() for name, value in one.model.state_dict().items()}
    one.run()
    for name, value in one.model.state_dict().items():
        assert torch.allclose(two[name].float(), value.float(), atol=2e-4), name
    moved = max(float((value - start[name]).abs().max()) for name, value in two.items() if value.is_floating_point())
    assert moved > 2e-3  # which is more than the tolerance


def test_a_batch_that_cannot_be_shared_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trainer("erm")
    with pytest.raises(D3SError, match="can't be shared out among 3 processes") as caught:
        run._sizes(3)
    assert "multiple of 3" in caught.value.remedy
    assert run._sizes(4) == [8]


def test_slices_follow_each_other_and_one_process_has_all() -> None:
    assert [list(range(8))[slice_of(8, rank, 4)] for rank in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    rows = torch.randn(3, 2)
    assert gather(rows) is rows
