"""Published files of weights by their address, kept where torch's own libraries keep them."""

import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from d3s.errors import BadInput
from d3s.shards import whole_file

SECONDS = 30.0
"""After which a network that does not answer counts as none."""


def cache_folder() -> Path:
    """The folder of checkpoints that torch and its libraries share; what they fetched before is found there."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    return Path(home) / "hub" / "checkpoints"


def fetch_url(url: str) -> Path:
    """The file of an address: from the cache if it is there, else fetched into it, whole or not at all.

    With ``HF_HUB_OFFLINE=1``, the hub's own switch, nothing is fetched.

    Raises:
        BadInput: ``unavailable``.
    """
    path = cache_folder() / url.rpartition("/")[2]
    if path.is_file():
        return path
    if not url.startswith("https://"):
        raise BadInput("unavailable", f"{url} is not fetched: only https is")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise BadInput("unavailable", f"{url} is not in {path.parent}, and HF_HUB_OFFLINE keeps off the network")
    try:
        answer = urllib.request.urlopen(url, timeout=SECONDS)
        with answer, whole_file(path) as temporary, open(temporary, "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise BadInput("unavailable", f"{url} can't be fetched ({error})") from None
    return path
