import os

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, get
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class HenceConan(ConanFile):
    name = "hence"
    description = "The parts of a reasoning-RL training loop, header-only C++20"
    license = "MIT"
    url = "https://github.com/conan-io/conan-center-index"
    homepage = "https://example.invalid/hence"
    topics = ("reinforcement-learning", "llm", "grpo", "mixture-of-experts", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    def layout(self):
        basic_layout(self, src_folder="src")

    def package_id(self):
        self.info.clear()

    def validate(self):
        # A profile need not name a standard: the headers then say themselves what they need.
        if self.settings.get_safe("compiler.cppstd"):
            check_min_cppstd(self, 20)

    def source(self):
        get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def build(self):
        pass

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        for pattern in ("*.hpp", "*.cuh"):
            copy(
                self,
                pattern,
                os.path.join(self.source_folder, "include"),
                os.path.join(self.package_folder, "include"),
            )

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
