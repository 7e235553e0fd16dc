"""Check the shapes in the package's signatures while the tests run."""
from jaxtyping import install_import_hook

install_import_hook("transformer_lib", "beartype.beartype")
