"""Export an encoder for use elsewhere: as a timm model, as an ONNX file that was checked against it, with a card."""

import argparse
import logging
from pathlib import Path

import timm

from d3s import cli
from d3s.encoder import load_encoder
from d3s.encoder_use.model_card import probe_figures, render
from d3s.encoder_use.onnx_model import write_onnx
from d3s.encoder_use.timm_model import write_timm
from d3s.errors import D3SError
from d3s.features import read_about
from d3s.identity import file_sha256
from d3s.result_tables import load_table
from d3s.shards import write_text
from d3s.tables import read_table

log = logging.getLogger("d3s")
COLUMNS = (
    *("objective", "seed", "features", "target", "probe", "fitted_on", "evaluated_on", "metric"),
    *("value", "ci_low", "ci_high", "chance", "n"),
)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of encoder.safetensors and encoder.json")
    parser.add_argument("--classes", type=Path, required=True, help="table of classes (CSV), for their names")
    parser.add_argument("--probes", type=Path, help="probes.csv, for what can be read from each part")
    parser.add_argument("--licence", default="", help="of the backbone's weights")
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write ``encoder.onnx``, ``config.json``, ``model.safetensors`` and ``README.md``."""
    cli.set_threads(args.threads)
    encoder, about = load_encoder(args.encoder), read_about(args.encoder)
    names = {int(row["class_id"]): row["name"] for row in read_table(args.classes, "classes")}
    unknown = [number for number in encoder.settings.classes if number not in names]
    if unknown:
        raise D3SError(
            f"{args.classes} lacks the class {unknown[0]}, which {args.encoder} tells apart",
            "give the table of classes that the encoder was trained with",
        )
    labels = [names[number] for number in encoder.settings.classes]
    figures = []
    if args.probes:
        figures = probe_figures(load_table(args.probes, COLUMNS), about["objective"], about["seed"])
    difference = write_onnx(args.output / "encoder.onnx", encoder)
    log.info("the ONNX file differs from the encoder by at most %.2g of an output's largest value", difference)
    write_timm(args.output, encoder, labels)
    expected = timm.data.resolve_model_data_config(encoder.backbone)
    weights = file_sha256(args.encoder / "encoder.safetensors")
    text = render(about, labels, figures, weights, expected, difference, args.licence)
    write_text(args.output / "README.md", text)


if __name__ == "__main__":
    cli.run(parse, main)
