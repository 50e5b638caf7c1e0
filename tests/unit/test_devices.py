import pytest
import torch

from d3s import gpus
from d3s.devices import OutOfMemory, choose_device, within_memory
from d3s.errors import D3SError


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(D3SError, match="torch finds none"):
        choose_device("cuda")


def test_a_job_computes_on_the_gpu_that_it_took_or_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(gpus, "_held", [(2, None)])
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert [device.index for device in current] == [2, 2, 1]
    assert choose_device("cpu").type == "cpu"
    assert len(current) == 3


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), OutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), RuntimeError),
    ],
)
def test_errors_of_memory_are_told_from_others(error: Exception, raised: type[Exception]) -> None:
    def fail(size: int) -> float:
        raise error

    with pytest.raises(raised) as caught:
        within_memory(fail, 3)
    assert str(caught.value) == str(error)
    assert within_memory(abs, -2.5) == 2.5
