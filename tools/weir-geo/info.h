// weir-geo info: what a country database is, and what it compiles to.

#pragma once

#include "command.h"

namespace weir::tool {

ExitCode info(const Options& options);

}  // namespace weir::tool
