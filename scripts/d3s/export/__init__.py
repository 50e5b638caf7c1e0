"""The data set in the formats that other software opens: Parquet, WebDataset tars, folders of images, Croissant."""
