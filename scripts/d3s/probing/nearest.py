"""Do generated val images repeat what the generator was trained on?"""

import numpy as np
import pandas as pd

from d3s.features import Features


def nearest_table(features: Features) -> pd.DataFrame:
    """``nearest.csv``: does a val image lie nearer to what the generator was trained on than to its own guide?

    Distances are cosines of all pooled features, each data set centred on its own mean: what all generated images have
    in common, such as blur, must not count as a likeness. Three shares of the val images that have a guide:

    - ``nearer_to_a_train_image``: some accepted train image is nearer than the image's own guide. Train images come
      from the same generator and the guide does not, so some likeness of style still counts.
    - ``nearer_to_a_train_exemplar``: the mean of the train images of some exemplar is nearer than the own guide.
    - ``nearer_to_another_guide``: the guide of another val exemplar is nearer; the same without any train picture, to
      read the other two against.

    The table is empty where there are no guides.
    """
    if "guides_val" not in features.rows:
        return pd.DataFrame(columns=["measure", "value", "n"])
    guides, images = features.rows["guides_val"], features.rows["images_val"]
    place = {sample: row for row, sample in enumerate(guides["sample"])}
    have = np.flatnonzero(images["sample"].isin(place).to_numpy())
    own = np.array([place[sample] for sample in images["sample"].to_numpy()[have]], dtype=int)
    centred = {name: matrix - matrix.mean(axis=0) for name, matrix in features.matrices.items()}

    def directions(matrix: np.ndarray) -> np.ndarray:
        return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)

    image, guide, train = (
        directions(centred["images_val"][have]),
        directions(centred["guides_val"]),
        centred["images_train"],
    )
    names = features.rows["images_train"]["exemplar"].to_numpy()
    means = np.stack([train[names == name].mean(axis=0) for name in sorted(set(names))])
    to_own = (image * guide[own]).sum(axis=1)
    others = np.where(
        images["exemplar"].to_numpy()[have][:, None] != guides["exemplar"].to_numpy()[None, :], image @ guide.T, -np.inf
    )
    found = {
        "nearer_to_a_train_image": (image @ directions(train).T).max(axis=1) > to_own,
        "nearer_to_a_train_exemplar": (image @ directions(means).T).max(axis=1) > to_own,
        "nearer_to_another_guide": others.max(axis=1) > to_own,
    }
    return pd.DataFrame([{"measure": k, "value": float(v.mean()), "n": len(v)} for k, v in sorted(found.items())])
