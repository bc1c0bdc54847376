"""`python -m runner.editor_schema`: writes the schema anew, from the catalogue beside it."""

from runner.catalogue import bundled
from runner.editor_schema import NAME, build, render

folder = bundled("schemas")
(folder / NAME).write_text(render(build(folder)), encoding="utf-8")
