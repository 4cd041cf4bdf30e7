"""What a start would compile, compiled while an image is built: where it runs, its folder cannot be written."""

from davylamp_cloud.dataclass_code import dataclass_code_kept


def prepare() -> None:
    """Keep the code of the dataclasses, the templates and the catalogues."""
    with dataclass_code_kept():
        import davylamp_cloud.app
        import davylamp_cloud.console.others
        import davylamp_cloud.historian.duckdb  # noqa: F401  # made by being imported
        from davylamp_cloud.console import render
    render.prepare()
