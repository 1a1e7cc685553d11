"""The site: the Markdown pages of this folder, and declarations that Doxygen read (docs/build.sh)."""

import pathlib
import re

root = pathlib.Path(__file__).parent
while not (root / "include/hence/version.hpp").exists():  # docs/build.sh builds a copy of this folder
    root = root.parent
number = int(re.search(r"^#define HENCE_VERSION (\d+)$", (root / "include/hence/version.hpp").read_text(), re.M)[1])

project = "hence"
author = "The hence authors"
copyright = author
release = version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"

extensions = ["myst_parser"]
myst_heading_anchors = 3
highlight_language = "text"
html_theme = "furo"
html_title = f"hence {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_copyright = False
