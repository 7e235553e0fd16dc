"""Check the shapes in the package's signatures while the tests run."""

from hypothesis import settings
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  the hook looks it up

install_import_hook("transformer_lib", "tests.shapes.check")

# The same examples every time, and no deadline: a busy machine is not an error.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
