"""hence from its own sources: conan create packaging/conan

It packages what `cmake --install` installs, hence's own CMake package included, so that
find_package(hence COMPONENTS cuda) works as it does everywhere else.
"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class HenceConan(ConanFile):
    name = "hence"
    description = "The parts of a reasoning-RL training loop, header-only C++20"
    license = "MIT"
    topics = ("reinforcement-learning", "llm", "grpo", "mixture-of-experts", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    implements = ["auto_header_only"]

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        if self.version is None:
            text = load(self, os.path.join(self._root, "include", "hence", "version.hpp"))
            number = int(re.search(r"^#define HENCE_VERSION (\d+)$", text, re.M).group(1))
            self.version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, self._root, self.export_sources_folder)

    def layout(self):
        cmake_layout(self, src_folder=".")

    def validate(self):
        # A profile need not name a standard: the headers then say themselves what they need.
        if self.settings.get_safe("compiler.cppstd"):
            check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["HENCE_BUILD_TESTS"] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        rmdir(self, os.path.join(self.package_folder, "share", "licenses"))

    def package_info(self):
        # Our own config file is found, CMakeDeps makes none.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "hence")]
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
