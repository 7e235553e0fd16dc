"""Check the shapes in the package's signatures while the tests run."""

from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  the hook looks it up

install_import_hook("transformer_lib", "tests.shapes.check")
